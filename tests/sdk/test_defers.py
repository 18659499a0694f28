"""Runs that a function of version 4 for TypeScript defers until its own has ended."""

from __future__ import annotations

import asyncio

import pytest

from tests.sdk.apps import fresh
from tests.sdk.world import World
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("kind", ["js4", "js4-classic"])
async def test_deferred_runs_start_when_their_parent_ends_but_not_one_that_it_took_back(
    world: World, kind: str
) -> None:
    app = await world.app(kind)
    good, bad = fresh(), fresh()
    runs = await asyncio.gather(app.run("defers", id=good, fails=False), app.run("defers", id=bad, fails=True))
    assert [run["status"] for run in runs] == ["completed", "failed"]
    for mine, run in zip((good, bad), runs, strict=True):
        told = [f"{what} of {app.name}-defers {run['id']}" for what in ("kept", "last")]
        await eventually(lambda: sorted(app.noted(mine)[2:]) == told, what="two deferred runs told so")  # noqa: B023
        assert app.noted(mine)[:2] == ["first", "second"]
