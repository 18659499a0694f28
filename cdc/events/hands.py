"""What people do with runs and functions, from a shell or over HTTP: each a transaction of its own.

Whoever calls tells the workers afterwards that something may be due (`store.notifications`, or directly).
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from cdc.authoring.triggers import INVOKED, SIGNAL
from cdc.events import intake, repeating
from cdc.events.deferring import DEFERRED
from cdc.events.ending import CANCELLED
from cdc.events.intake import Taken, new_id
from cdc.events.outbox import Invocation, Outbox
from cdc.events.repeating import Edits, Repeated
from cdc.store import choice, pauses, waits
from cdc.store.choice import ENDED, UNFINISHED, Choice, Counted
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.failures import Deadlocked, EventRepeated
from cdc.store.starts import uuid

PAGE = 500
"""Runs in one transaction, when there are many: locks are held for moments, and what is done stays done."""

_ATTEMPTS = 10

T = TypeVar("T")


class Moved(NamedTuple):
    """What became of one page: how many runs were looked at, how many were cancelled or replayed, and the last one."""

    seen: int
    done: int
    last: str


class Hands:
    """Acts over an autocommit connection, with an outbox that may be shared."""

    def __init__(self, conn: Connection, outbox: Outbox | None = None) -> None:
        self._conn = conn
        self._outbox = outbox or Outbox()

    async def take(self, incoming: Sequence[Incoming]) -> Taken:
        """Take events in; those that are stored already are passed over."""

        async def taking() -> Taken:
            await waits.lock_names(self._conn, accepted=intake.names(incoming))
            return await self._outbox.add(self._conn, incoming)

        return await self._transact(taking)

    async def cancel(self, run_ids: Sequence[str], reason: str) -> list[str]:
        """Cancel these runs where they are unfinished; which were."""

        async def cancelling() -> list[str]:
            await waits.lock_names(self._conn, accepted={CANCELLED, DEFERRED})
            cancelled, _ = await self._outbox.cancel(self._conn, dict.fromkeys(run_ids, reason))
            return cancelled

        return await self._transact(cancelling)

    async def count(self, chosen: Choice, after: str | None = None) -> Counted:
        """How many runs a choice has, or has after one of them; later ones do not enter it."""
        return await choice.count(self._conn, chosen, after=after)

    async def cancel_all(
        self, counted: Counted, reason: str, after: str | None = None, size: int = PAGE
    ) -> AsyncGenerator[Moved]:
        """Cancel a choice of runs, page by page; of them all, or `after` one of them."""
        async for page in choice.pages(self._conn, counted.choice, size, after=after):
            yield Moved(len(page), len(await self.cancel(page, reason)), page[-1])

    async def replay(self, run_ids: Sequence[str]) -> Repeated:
        """Give the events of these runs to new ones of the same functions."""

        async def replaying() -> Repeated:
            await waits.lock_names(self._conn, accepted=())
            return await repeating.repeat(self._conn, await self._outbox.refresh(self._conn), run_ids)

        return await self._transact(replaying)

    async def replay_from(self, run_id: str, edits: Edits) -> Repeated:
        """Replay one run from a step on, with another input or other data."""

        async def replaying() -> Repeated:
            await waits.lock_names(self._conn, accepted=())
            return await repeating.repeat_from(self._conn, await self._outbox.refresh(self._conn), run_id, edits)

        return await self._transact(replaying)

    async def replay_all(self, counted: Counted, after: str | None = None, size: int = PAGE) -> AsyncGenerator[Moved]:
        """Replay a choice of runs, page by page; likewise."""
        async for page in choice.pages(self._conn, counted.choice, size, after=after):
            yield Moved(len(page), len((await self.replay(page)).runs), page[-1])

    async def pause(self, function_id: str) -> int | None:
        """Start no more runs of this function; how many stand aside that had not started, None if it is unknown."""
        if not await pauses.known(self._conn, function_id):
            return None
        await pauses.set_paused(self._conn, function_id, paused=True)
        return await pauses.hold(self._conn, function_id)

    async def resume(self, function_id: str) -> int | None:
        """Let a paused function go on; how many runs did, None if it is unknown."""
        if not await pauses.known(self._conn, function_id):
            return None
        await pauses.set_paused(self._conn, function_id, paused=False)
        return await pauses.let_go(self._conn, function_id)

    async def invoke(self, function_id: str, data: bytes) -> str | None:
        """Start one run of this function, whatever its triggers; its event's id, None without such a function.

        `data` is a JSON object.
        """
        event = _event(INVOKED, data)

        async def invoking() -> str | None:
            await waits.lock_names(self._conn, accepted={event.name})
            if function_id not in await self._outbox.refresh(self._conn):
                return None
            await self._outbox.add(self._conn, (), [Invocation(function_id, event)])
            return uuid(event.id)

        return await self._transact(invoking)

    async def signal(self, name: str, data: bytes) -> str | None:
        """Send a signal to the run that waits for it; which, None when nobody does. `data` is a JSON object."""
        event = _event(f"{SIGNAL}{name}", data)

        async def signalling() -> str | None:
            await waits.lock_names(self._conn, accepted={event.name})
            run_id = await waits.awaited(self._conn, event.name)
            if run_id is not None:
                await self._outbox.add(self._conn, [event])
            return run_id

        return await self._transact(signalling)

    async def _transact(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do it in one transaction, again when another one came between."""
        for attempt in range(_ATTEMPTS):
            try:
                async with self._conn.transaction():
                    return await act()
            except (Deadlocked, EventRepeated):
                if attempt + 1 == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")


def to_cancel(choice: Choice) -> Choice:
    """Of these runs those that can be cancelled: the unfinished ones."""
    return replace(choice, statuses=[each for each in UNFINISHED if each in (choice.statuses or UNFINISHED)])


def to_replay(choice: Choice) -> Choice:
    """Of these runs those that can be replayed: the ended ones; where no state is asked for, the failed ones."""
    return replace(choice, statuses=[each for each in ENDED if each in (choice.statuses or ("failed",))])


def _event(name: str, data: bytes) -> Incoming:
    return Incoming(new_id(), name, time.time_ns() // 1000, data, None)
