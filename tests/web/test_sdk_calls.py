"""What SDKs and those who know Inngest's API call besides: invocations, cancellations, signals, what is passed over."""

from __future__ import annotations

from uuid import uuid4

from tests.web.conftest import Served


async def test_a_function_is_invoked_by_its_slug(served: Served) -> None:
    status, answer = await served.post("/invoke/paid", {"data": {"n": 1}, "name": "x"})
    assert (status, answer["status"]) == (200, 200)
    status, found = await served.get(f"/v1/events/{answer['id']}/runs")
    assert [run["function_id"] for run in found["data"]] == ["paid"]
    assert served.woken
    assert (await served.post("/invoke/app%2Fnone", {}))[0] == 404
    assert (await served.post("/invoke/paid", {"data": [1]}))[0] == 400


async def test_a_run_is_cancelled_by_deleting_it(served: Served) -> None:
    for path in ("/v0/runs/", "/v1/runs/"):
        (run_id,) = await served.state.queue(1, "paid")
        assert (await served.ask("DELETE", path + run_id)).json() == {"data": {"run_id": run_id}}
        assert (await served.ask("DELETE", path + run_id)).status_code == 409
    assert (await served.ask("DELETE", f"/v1/runs/{uuid4()}")).status_code == 404
    assert (await served.ask("DELETE", "/v0/runs/01JAAAAAAAAAAAAAAAAAAAAAAA")).status_code == 404


async def test_many_runs_are_cancelled_at_once(served: Served) -> None:
    await served.state.queue(3, "app-paid")
    (other,) = await served.state.queue(1, "other")
    asked = {"app_id": "app", "function_id": "paid", "started_before": "2999-01-01T00:00:00Z"}
    status, answer = await served.post("/v1/cancellations", asked)
    assert (status, answer["data"]["function_id"]) == (201, "paid")
    statuses = await served.state.statuses()
    assert statuses.pop(other) == ("queued", None)
    assert {status for status, _ in statuses.values()} == {"cancelled"}
    assert (await served.get("/v1/cancellations"))[1]["data"] == []
    for wrong in ({}, {"function_id": "paid", "if": "true"}, {"function_id": "paid", "started_after": "now"}):
        assert (await served.post("/v1/cancellations", wrong))[0] == 400


async def test_a_signal_that_nobody_waits_for_is_not_found_whatever_it_carries(served: Served) -> None:
    for data in (None, 1, "text", [1], {"a": 1}):
        assert (await served.post("/v1/signals", {"signal": "none", "data": data}))[0] == 404


async def test_what_nothing_is_made_of_is_taken_all_the_same(served: Served) -> None:
    for path in ("/v0/telemetry", "/v1/traces/userland"):
        assert (await served.ask("POST", path, b"\x00\xff", content_type="application/x-protobuf")).status_code == 200


async def test_what_an_app_says_about_a_run_is_kept_and_shown(served: Served) -> None:
    (run_id,) = await served.state.queue(1, "paid")

    async def say(op: str, values: object, kind: str = "userland.a", **target: object) -> int:
        body = {"target": {"run_id": run_id, **target}, "metadata": [{"kind": kind, "op": op, "values": values}]}
        return (await served.post(f"/v1/runs/{run_id}/metadata", body))[0]

    assert [await say("merge", {"a": 1, "b": 1}), await say("merge", {"b": 2}), await say("set", {"c": "\0"}, "k")] == [
        200
    ] * 3
    assert [await say("merge", {"d": 1}, step_id="s"), await say("set", {"e": 1}, step_id="s")] == [200] * 2
    told = (await served.get(f"/v1/runs/{run_id}"))[1]["data"]["metadata"]
    assert [(each["step_id"], each["kind"], each["values"]) for each in told] == [
        (None, "userland.a", {"a": 1, "b": 2}),
        (None, "k", {"c": "\0"}),
        ("s", "userland.a", {"e": 1}),
    ]
    assert "userland.a" in (await served.ask("GET", f"/runs/{run_id}", accept="text/html")).text
    for op, values, target in (
        ("add", {}, {}),
        ("set", [], {}),
        ("set", {}, {"step_id": 1}),
        ("set", {}, {"step_id": ""}),
    ):
        assert await say(op, values, **target) == 400
    assert await say("merge", {"a": "x" * 300_000}) == 413
    assert (
        await served.post(f"/v1/runs/{uuid4()}/metadata", {"metadata": [{"kind": "k", "op": "set", "values": {}}]})
    )[0] == 404


async def test_what_is_due_of_a_run_is_told(served: Served) -> None:
    (run_id,) = await served.state.queue(1, "paid")
    status, told = await served.get(f"/v1/runs/{run_id}/jobs")
    assert (status, [(each["kind"], each["attempt"]) for each in told["data"]]) == (200, [("start", 0)])
    await served.ask("DELETE", f"/v1/runs/{run_id}")
    assert (await served.get(f"/v1/runs/{run_id}/jobs"))[1]["data"] == []
    assert (await served.get(f"/v1/runs/{uuid4()}/jobs"))[0] == 404


async def test_an_environment_has_the_metrics_of_the_service(served: Served) -> None:
    answer = await served.ask("GET", "/v1/prom/production")
    assert (answer.status_code, "cdc_build_info" in answer.text) == (200, True)


async def test_how_it_is_and_what_it_has_is_told(served: Served) -> None:
    assert (await served.get("/health"))[0] == 200
    status, told = await served.get("/dev")
    assert (status, [each["slug"] for each in told["functions"]]) == (200, ["paid"])
    assert told["version"]
    assert (await served.get("/v1/apps/shop/functions"))[1]["data"] == []
