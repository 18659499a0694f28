"""Flow control, as the apps' functions ask for it in their options."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from tests.sdk.apps import App, fresh

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_flow_control_holds_for_functions_of_apps(app: App) -> None:
    await asyncio.gather(*(check(app, fresh()) for check in CHECKS))


async def debounced(app: App, mine: str) -> None:
    await app.send_together("debounced", *({"id": mine, "number": number} for number in (1, 2, 3)))
    await app.notes(mine, "debounced 3")


async def batched(app: App, mine: str) -> None:
    await app.send_together("batched", *({"id": mine, "number": number} for number in (1, 2, 3)))
    await app.notes(mine, "batch of 1,2,3")


async def single(app: App, mine: str) -> None:
    first = await app.send("single", id=mine)
    await app.is_now(first, "waiting")
    await app.starts_nothing("single", id=mine)
    await app.send("answer", id=mine)
    await app.runs(first)
    assert app.noted(mine) == ["single"]


async def once(app: App, mine: str) -> None:
    await app.run("once", id=mine)
    await app.starts_nothing("once", id=mine)
    assert app.noted(mine) == ["once"]


async def rated(app: App, mine: str) -> None:
    await app.run("rated", id=mine)
    await app.starts_nothing("rated", id=mine)
    assert app.noted(mine) == ["rated"]


async def throttled(app: App, mine: str) -> None:
    runs = await asyncio.gather(*(app.run("throttled", id=mine) for _ in range(2)))
    # Not when the app notes it: a call that arrives late is nearer to the next one.
    first, second = sorted(datetime.fromisoformat(run["started_at"]) for run in runs)
    assert second - first >= timedelta(milliseconds=900)
    assert app.noted(mine) == ["throttled"] * 2


async def limited(app: App, mine: str) -> None:
    await asyncio.gather(*(app.run("limited", id=mine) for _ in range(3)))
    assert app.noted(mine) == ["in", "out"] * 3


async def prioritised(app: App, mine: str) -> None:
    gate = app.folder / f"{mine}.open"
    first = await app.send("prioritised", id=mine, name="first", until=str(gate))
    await app.is_now(first, "running")
    others = [await app.send("prioritised", id=mine, name=name, urgent=name == "urgent") for name in ("late", "urgent")]
    gate.touch()
    for event in others:
        await app.runs(event)
    assert app.noted(mine) == ["first", "urgent", "late"]


async def filtered(app: App, mine: str) -> None:
    await app.starts_nothing("filtered", id=mine, number=1)
    await app.run("filtered", id=mine, number=2)
    assert app.noted(mine) == ["filtered 2"]


CHECKS = (debounced, batched, single, once, rated, throttled, limited, prioritised, filtered)
