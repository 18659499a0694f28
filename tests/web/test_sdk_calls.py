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
    for path in ("/v0/telemetry", "/v1/traces/userland", f"/v1/runs/{uuid4()}/metadata"):
        assert (await served.ask("POST", path, b"\x00\xff", content_type="application/x-protobuf")).status_code == 200


async def test_how_it_is_and_what_it_has_is_told(served: Served) -> None:
    assert (await served.get("/health"))[0] == 200
    status, told = await served.get("/dev")
    assert (status, [each["slug"] for each in told["functions"]]) == (200, ["paid"])
    assert told["version"]
    assert (await served.get("/v1/apps/shop/functions"))[1]["data"] == []


async def test_what_is_not_supported_says_so(served: Served) -> None:
    answer = await served.ask("POST", "/v1/realtime/publish/tee?channel=a", b"{}")
    assert answer.status_code == answer.json()["status"] == 501
