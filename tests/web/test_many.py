"""Many runs over HTTP, and one from a step on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cdc.events import bulk
from tests.web.conftest import Served

FAILED = "update cdc_state.runs set status = 'failed', ended_at = now()"


async def test_all_failed_runs_of_a_choice_are_replayed_in_as_many_requests_as_it_takes(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "MOST", 2)
    for number in range(3):
        await served.post("/e/any", {"name": "app/order.paid", "data": {"id": number}})
    await served.state.connection.execute(FAILED)
    asked: dict[str, Any] = {"function": ["paid"], "since": "1h"}
    code, first = await served.post("/v1/runs/replay", asked)
    assert (code, first["data"]["runs"], first["data"]["changed"]) == (200, 3, 2)
    code, second = await served.post("/v1/runs/replay", {**asked, "cursor": first["data"]["next"]})
    assert (code, second["data"]) == (200, {"runs": 1, "changed": 1, "next": None})
    assert served.woken
    assert await served.state.one("select count(distinct replays) from cdc_state.runs") == 3


async def test_all_unfinished_runs_of_a_choice_are_cancelled(served: Served) -> None:
    await served.state.queue(3, "paid")
    assert (await served.post("/v1/runs/cancel", {"status": ["failed"]}))[1]["data"]["runs"] == 0
    code, answer = await served.post("/v1/runs/cancel", {"function": ["paid"]})
    assert (code, answer["data"]) == (200, {"runs": 3, "changed": 3, "next": None})


@pytest.mark.parametrize("asked", [{}, {"status": ["lost"]}, {"since": "1h", "cursor": "?"}, {"functions": ["paid"]}])
async def test_a_choice_that_cannot_be_read_changes_nothing(served: Served, asked: dict[str, Any]) -> None:
    await served.state.queue(1, "paid")
    assert (await served.post("/v1/runs/cancel", asked))[0] == 400
    assert await served.state.one("select count(*) from cdc_state.runs where ended_at is null") == 1


async def test_a_run_is_replayed_from_a_step_with_another_input_and_another_event(served: Served) -> None:
    await served.post("/e/any", {"name": "app/order.paid", "data": {"id": 7}})
    await served.state.connection.execute(FAILED)
    run_id = await served.state.one("select id::text from cdc_state.runs")
    await served.state.connection.execute(
        "insert into cdc_state.steps (run_id, id, kind, input, started_at, ended_at)"
        " select id, 'ship', 'run', '{\"args\": [1]}', now(), now() from cdc_state.runs"
    )
    edits = {"from_step": "ship", "input": {"args": [2]}, "data": {"id": 8}}
    code, answer = await served.post(f"/v1/runs/{run_id}/replay", edits)
    assert (code, answer["data"]["replays"]) == (200, run_id)
    _, new = await served.get(f"/v1/runs/{answer['data']['run_id']}")
    (step,) = new["data"]["steps"]
    assert (step["input"], step["edited"], step["ended_at"]) == ({"args": [2]}, True, None)
    _, event = await served.get(f"/v1/events/{new['data']['event_ids'][0]}")
    assert event["data"]["data"] == {"id": 8}

    for asked, told, status in (
        ({"input": 1}, "give from_step", 400),
        ({"from_step": "pack"}, "no step 'pack'", 409),
        ({"from": "ship"}, "no field 'from'", 400),
        ({"data": [1]}, "data", 400),
    ):
        code, answer = await served.post(f"/v1/runs/{run_id}/replay", asked)
        assert (code, told in json.dumps(answer)) == (status, True), answer
