"""Routes that act on runs and functions, and those that look at them."""

from __future__ import annotations

import pytest

from tests.web.conftest import Served

NOBODY = "00000000-0000-7000-8000-000000000000"


async def test_an_event_is_found_with_the_runs_that_it_started_and_their_replays(served: Served) -> None:
    (event_id,) = (await served.post("/e/any", {"name": "app/order.paid", "data": {"id": 7}}))[1]["ids"]
    _, event = await served.get(f"/v1/events/{event_id}")
    assert (event["data"]["id"], event["data"]["data"]) == (event_id, {"id": 7})
    (run,) = (await served.get(f"/v1/events/{event_id}/runs"))[1]["data"]
    assert (run["function_id"], run["status"], run["replays"]) == ("paid", "queued", None)

    await served.state.connection.execute("update cdc_state.runs set status = 'failed', ended_at = now()")
    code, replay = await served.post(f"/v1/runs/{run['id']}/replay")
    assert (code, replay["data"]["replays"]) == (200, run["id"])
    runs = (await served.get(f"/v1/events/{event_id}/runs"))[1]["data"]
    assert [each["id"] for each in runs] == [run["id"], replay["data"]["run_id"]]


async def test_a_run_is_cancelled_once(served: Served) -> None:
    (run_id,) = await served.state.queue(1, "paid")
    assert await served.post(f"/v1/runs/{run_id}/cancel") == (200, {"data": {"run_id": run_id}})
    assert served.woken
    assert (await served.post(f"/v1/runs/{run_id}/cancel", {}))[0] == 409
    _, run = await served.get(f"/v1/runs/{run_id}")
    assert run["data"]["status"] == "cancelled"
    assert run["data"]["error"]["message"] == "cancelled over the API"


async def test_runs_of_a_choice_are_cancelled_and_replayed_together(served: Served) -> None:
    (event_id,) = (await served.post("/e/any", {"name": "app/order.paid"}))[1]["ids"]
    others = await served.state.queue(2, "other")
    assert (await served.post("/v1/runs/cancel", {}))[0] == 400
    assert (await served.post("/v1/runs/cancel", {"function": ["paid"], "cursor": "x"}))[0] == 400
    done = {"data": {"runs": 1, "changed": 1, "next": None}}
    cancelled = await served.post("/v1/runs/cancel", {"function": ["paid"], "since": "1h"})
    assert cancelled == (200, done)
    assert {(await served.state.statuses())[each][0] for each in others} == {"queued"}
    replayed = await served.post("/v1/runs/replay", {"status": ["cancelled"]})
    assert replayed == (200, done)
    first, again = (await served.get(f"/v1/events/{event_id}/runs"))[1]["data"]
    assert (first["status"], again["status"], again["replays"]) == ("cancelled", "queued", first["id"])


async def test_a_replay_has_other_data_or_says_why_it_cannot_be(served: Served) -> None:
    await served.post("/e/any", {"name": "app/order.paid", "data": {"n": 1}})
    (run,) = (await served.get("/v1/runs"))[1]["data"]
    await served.state.connection.execute("update cdc_state.runs set status = 'completed', ended_at = now()")
    code, replay = await served.post(f"/v1/runs/{run['id']}/replay", {"data": {"n": 2}})
    assert code == 200
    new = (await served.get(f"/v1/runs/{replay['data']['run_id']}"))[1]["data"]
    (event_id,) = new["event_ids"]
    assert (await served.get(f"/v1/events/{event_id}"))[1]["data"]["data"] == {"n": 2}
    assert (await served.post(f"/v1/runs/{run['id']}/replay", {"input": 1}))[0] == 400
    assert (await served.post(f"/v1/runs/{run['id']}/replay", {"from_step": "nowhere"}))[0] == 409


async def test_a_run_that_has_not_ended_is_not_replayed(served: Served) -> None:
    (run_id,) = await served.state.queue(1, "paid")
    code, answer = await served.post(f"/v1/runs/{run_id}/replay")
    assert (code, "has not ended" in answer["error"]) == (409, True)


async def test_a_function_is_paused_resumed_and_invoked(served: Served) -> None:
    await served.state.queue(2, "paid")
    assert await served.post("/v1/functions/paid/pause") == (200, {"data": {"held": 2}})
    (listed,) = (await served.get("/v1/functions"))[1]["data"]
    assert (listed["id"], listed["paused_at"] is None) == ("paid", False)

    code, invoked = await served.post("/v1/functions/paid/invoke", {"data": {"by": "hand"}})
    assert code == 200
    (run,) = (await served.get(f"/v1/events/{invoked['data']['event_id']}/runs"))[1]["data"]
    assert run["status"] == "queued"
    assert await served.state.one("select count(*) from cdc_state.runs where held_at = 'paused'") == 3

    assert await served.post("/v1/functions/paid/resume") == (200, {"data": {"released": 3}})
    (listed,) = (await served.get("/v1/functions"))[1]["data"]
    assert listed["paused_at"] is None
    assert await served.post("/v1/functions/paid/resume") == (200, {"data": {"released": 0}})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/v1/runs/{NOBODY}/cancel"),
        ("POST", "/v1/runs/nonsense/cancel"),
        ("POST", f"/v1/runs/{NOBODY}/replay"),
        ("POST", "/v1/functions/nobody/pause"),
        ("POST", "/v1/functions/nobody/resume"),
        ("POST", "/v1/functions/nobody/invoke"),
        ("GET", f"/v1/runs/{NOBODY}"),
        ("GET", f"/v1/events/{NOBODY}"),
        ("GET", "/v1/events/nonsense"),
        ("GET", f"/v1/events/{NOBODY}/runs"),
    ],
)
async def test_what_is_not_there_is_not_found(served: Served, method: str, path: str) -> None:
    response = await served.ask(method, path)
    assert response.status_code == 404
    assert response.json()["error"]


async def test_a_signal_that_nobody_waits_for_is_not_found(served: Served) -> None:
    assert (await served.post("/v1/signals", {"signal": "approved"}))[0] == 404
    assert (await served.post("/v1/signals", {"signal": ""}))[0] == 400
    assert (await served.post("/v1/signals", {"signal": 1}))[0] == 400
    assert await served.state.counts() == (0, 0, 0)


async def test_runs_are_listed_by_function_status_and_time_in_pages(served: Served) -> None:
    paid, other = await served.state.queue(3, "paid"), await served.state.queue(2, "other")
    await served.post(f"/v1/runs/{paid[0]}/cancel")

    async def listed(query: str) -> list[str]:
        return [run["id"] for run in (await served.get(f"/v1/runs?{query}"))[1]["data"]]

    assert await listed("") == [*reversed(other), *reversed(paid)]
    assert await listed("function=paid&status=queued") == [paid[2], paid[1]]
    assert await listed("function=paid&function=other&limit=3") == [other[1], other[0], paid[2]]
    assert await listed("since=1h") == [*reversed(other), *reversed(paid)]
    assert await listed("until=1h") == await listed("since=2999-01-01") == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "status=odd", "since=soon", "until=-1h", "cursor=x", "statuses=failed"]
)
async def test_a_query_that_makes_no_sense_is_refused(served: Served, query: str) -> None:
    code, answer = await served.get(f"/v1/runs?{query}")
    assert code == 400
    assert answer["error"]


async def test_a_run_is_shown_with_steps_waits_and_log_lines(served: Served) -> None:
    (run_id,) = await served.state.queue(1, "paid")
    for statement in (
        "insert into cdc_state.steps (run_id, id, kind, started_at) values (%s, 'greet', 'wait', now())",
        "insert into cdc_state.waits (run_id, id, cancels, event, expires_at)"
        " values (%s, 'greet', false, 'app/x', now())",
        "insert into cdc_state.logs (run_id, level, line, fields) values (%s, 'info', 'hello', '{\"a\": 1}')",
    ):
        await served.state.connection.execute(statement.encode(), [run_id])
    _, run = await served.get(f"/v1/runs/{run_id}")
    assert [step["id"] for step in run["data"]["steps"]] == ["greet"]
    assert [wait["event"] for wait in run["data"]["waits"]] == ["app/x"]
    assert [(line["line"], line["fields"]) for line in run["data"]["logs"]] == [("hello", {"a": 1})]


@pytest.mark.parametrize("body", [b"[]", b"{", b"1"])
async def test_a_body_that_is_no_object_is_refused(served: Served, body: bytes) -> None:
    assert (await served.post("/v1/functions/paid/invoke", body))[0] == 400
