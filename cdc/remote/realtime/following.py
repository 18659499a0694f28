"""Messages about a run and its steps, for one who listens to it: looked for while somebody does, and only then.

What a run has come to already is told first. Every service reads the one database, so it does not matter where a run
executes, nor in which language.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from cdc.remote.realtime.hub import Topic
from cdc.remote.realtime.publishing import TooLarge, written
from cdc.store import realtime
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble, PoolTimeout

State = Callable[[], AbstractAsyncContextManager[Connection]]

RUN, STEP = "$run", "$step"
"""Topics of the channel that is a run's id."""

MOST = 10
"""Runs that one listener follows."""

_EVERY = 0.5
_AT_ONCE = 100


@asynccontextmanager
async def following(state: State | None, topics: Iterable[Topic], tell: Callable[[str], None]) -> AsyncIterator[None]:
    """Tell of the runs among these topics for the length of the block."""
    followed = _followed(topics)
    if state is None or not followed:
        yield
        return
    task = asyncio.create_task(_follow(state, followed, tell))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _followed(topics: Iterable[Topic]) -> list[_Followed]:
    of: dict[str, set[str]] = {}
    for topic in topics:
        if topic.name in (RUN, STEP):
            with suppress(ValueError):
                of.setdefault(str(UUID(topic.channel)), set()).add(topic.name)
    return [_Followed(run_id, names) for run_id, names in sorted(of.items())[:MOST]]


async def _follow(state: State, followed: list[_Followed], tell: Callable[[str], None]) -> None:
    while followed:
        with suppress(PoolTimeout, *ConnectionTrouble):
            async with state() as conn:
                followed = [each for each in followed if await each.look(conn, tell)]
        await asyncio.sleep(_EVERY)


class _Followed:
    """A run, and which of its steps were told."""

    def __init__(self, run_id: str, names: set[str]) -> None:
        self._id = run_id
        self._names = names
        self._told: set[str] = set()

    async def look(self, conn: Connection, tell: Callable[[str], None]) -> bool:
        """Tell what is new; whether there may be more."""
        run = await realtime.run(conn, self._id)  # first: of one that has ended, no step is missed then
        if run is None:
            return False
        if STEP in self._names:
            while steps := await realtime.ended(conn, self._id, self._told, _AT_ONCE):
                for step in steps:
                    self._told.add(step.id)
                    tell(self._message("step", step.id, run, step.error or step.data))
        if run.has_ended and RUN in self._names:
            tell(self._message("run", RUN, run, run.error or run.output))
        return not run.has_ended

    def _message(self, kind: str, topic: str, run: realtime.Run, data: Any) -> str:
        about = {"run_id": self._id, "fn_id": run.function_id, "status": run.status}
        try:
            return written(kind, Topic(self._id, topic), data, about)
        except TooLarge:
            return written(kind, Topic(self._id, topic), None, {**about, "truncated": True})
