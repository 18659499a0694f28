"""Steps with a body, one after the other and side by side; and what becomes of errors."""

from __future__ import annotations

import asyncio

import pytest

from tests.sdk.apps import App, fresh
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_results_come_back_as_they_were_and_a_body_runs_once(app: App) -> None:
    mine, nested = fresh(), {"list": [None, 1.5, {"text": "ä ☃"}]}
    run = await app.run("steps", id=mine, nested=nested)
    assert run["output"] == {
        "run": run["id"],
        "two": 2,
        "same": [0, 1, 2],
        "nested": {"data": {"error": {"list": [1, [2, {"three": 3}]]}}, "text": "ä ☃ €"},
        "nothing": None,
        "attempt": 0,
        "event": f"{app.name}/steps",
        "given": {"id": mine, "nested": nested},
    }
    assert app.noted(mine) == ["one"]
    # One for each of seven steps and one for the end; version 4 posts what steps came to during its only call.
    assert len(app.noted(f"run {run['id']}")) == (1 if app.name == "js4" else 8)


async def test_steps_run_side_by_side(app: App) -> None:
    joined, raced = fresh(), fresh()
    both = await asyncio.gather(app.output("parallel", id=joined), app.output("race", id=raced))
    assert both[0] == {"all": ["a", "b", "after first"], "after": "joined"}
    assert sorted(app.noted(joined)) == ["a", "after first", "b", "first", "joined"]
    assert app.noted(joined)[-1] == "joined"
    assert both[1] == {"won": "quick", "after": "after"}
    assert app.noted(raced)[:2] == ["quick", "after"]


async def test_events_are_sent_once(app: App) -> None:
    mine = fresh()
    assert await app.output("sends", id=mine) == {"sent": 2}
    three = ["received 1", "received 2", "received 3"]
    await eventually(lambda: sorted(app.noted(mine)) == three, what="three events were received")


async def test_what_is_too_large_for_a_call_is_fetched(app: App) -> None:
    assert await app.output("large", id=fresh(), steps=5) == {"length": 5_000_000}


async def test_errors_are_retried_caught_and_handled(app: App) -> None:
    failing, retried, refused, caught = (fresh() for _ in range(4))
    runs = await asyncio.gather(
        app.run("fails", id=failing),
        app.run("retries", id=retried),
        app.run("refuses", id=refused),
        app.run("catches", id=caught),
    )
    assert [run["status"] for run in runs] == ["failed", "completed", "failed", "completed"]

    assert runs[0]["error"]["message"] == "nothing to be done"
    await app.notes(failing, f"nothing to be done of {app.name}-fails by {app.name}/fails")

    assert runs[1]["output"] == {"step": "done", "attempt": 1}
    assert app.noted(retried) == ["step", "step", "attempt 0", "attempt 1"]
    times = [each["at"] for each in app.effects(retried)]
    assert times[1] - times[0] >= 900
    assert times[3] - times[2] >= 900

    assert "not ever" in runs[2]["error"]["message"]
    assert app.noted(refused) == ["tried"]

    assert runs[3]["output"] == {"caught": "out of it", "after": "goes on"}
    assert app.noted(caught) == ["tried"]
