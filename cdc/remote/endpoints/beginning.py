"""Runs that apps execute by themselves, as they tell of them: begun, carried on, ended, or handed over to us.

Until it is handed over, such a run waits in the database for its app, as others wait for an event: nobody claims it
before its app has been silent for as long as a call of it may take. Then it goes on from here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum, auto
from uuid import UUID

from cdc.errors import ConfigurationError
from cdc.events import ending, ids, intake
from cdc.events.outbox import Outbox
from cdc.remote.addresses import NotAllowed
from cdc.remote.configs import definition
from cdc.remote.endpoints.requested import EVENT, Requested
from cdc.remote.endpoints.said import Next, Said
from cdc.remote.registering import Grounds
from cdc.store import endpoints as store
from cdc.store import events, waits
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.failures import Deadlocked, EventRepeated
from cdc.store.json import loads

MOST = 200
"""Endpoints of one origin that are told apart; a path may have ids in it."""

LEASE = 600.0
"""Seconds between two words of an app about a run, at most."""

_ATTEMPTS = 10


class Took(Enum):
    """What became of what an app said. STALE: it does not have the run any more, or never had."""

    RECORDED = auto()
    STALE = auto()


class Refused(Exception):
    """The endpoint may not begin runs; says why."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What is needed for them. `wake`: a run is due; `changed`: there is another function of an app. After `lease`
    seconds of silence an app has given its run up. `key` is for tokens.
    """

    state: Callable[[], AbstractAsyncContextManager[Connection]]
    outbox: Outbox
    grounds: Grounds
    wake: Callable[[], None]
    changed: Callable[[], None]
    lease: float
    key: bytes = field(repr=False)

    async def function_of(self, asked: Requested) -> str:
        """The function that an endpoint is, registered when it is new; past `MOST`, one for all others of its origin.

        Raises:
            Refused: it cannot be one.
        """
        async with self.state() as conn:
            for name in (asked.function_id, f"{asked.app}-other"):
                if name in await self.outbox.refresh(conn) or await self._register(conn, asked, name):
                    return name
        raise Refused(f"{asked.app} has too many functions.")

    async def _register(self, conn: Connection, asked: Requested, function_id: str) -> bool:
        other = function_id != asked.function_id
        made = definition({"id": function_id, "name": asked.name if not other else "other endpoints"}, asked.app)
        try:
            await self.grounds.target(asked.origin)
            async with conn.transaction():
                done = await store.register(conn, asked.app, asked.url, made, most=MOST + other)
        except NotAllowed as no:
            raise Refused(f"Endpoints of {asked.origin} cannot be called: {no}") from None
        except ConfigurationError as taken:
            raise Refused(str(taken)) from None
        if done:
            self.changed()
        return done

    async def begin(self, run_id: str, function_id: str, asked: Requested, said: Said) -> Took:
        """A run that has begun, with what it came to already; the same again changes nothing."""
        event = Incoming(ids.of_step(run_id, EVENT, 0), EVENT, time.time_ns() // 1000, asked.data, None)

        async def act(conn: Connection) -> Took:
            await waits.lock_names(conn, accepted=intake.names([event]) | {ending.FINISHED})
            if await store.begin(conn, run_id, function_id, str(UUID(bytes=event.id)), lease=self.lease):
                await self.outbox.add(conn, [event])
            return await self._carry_on(conn, run_id, function_id, said)

        return await self._transact(act, said)

    async def carry_on(self, run_id: str, function_id: str, said: Said) -> Took:
        """What a run came to that has begun before."""

        async def act(conn: Connection) -> Took:
            await waits.lock_names(conn, accepted={ending.FINISHED})
            return await self._carry_on(conn, run_id, function_id, said)

        return await self._transact(act, said)

    async def _carry_on(self, conn: Connection, run_id: str, function_id: str, said: Said) -> Took:
        if not await store.record(conn, run_id, function_id, said.steps, said.tried, lease=self.lease):
            return await self._again(conn, run_id, function_id, said)
        if said.next is Next.NOBODY:
            await self._complete(conn, run_id, function_id, said)
        elif said.next is Next.HERE:
            pause = store.PAUSE if said.tried or said.failures else 0.0
            await store.hand_over(conn, run_id, failures=said.failures, due_in=pause)
        return Took.RECORDED

    async def _again(self, conn: Connection, run_id: str, function_id: str, said: Said) -> Took:
        """Whether it is told once more because the answer was lost: a run that is ours already is handed over."""
        found = await store.found(conn, run_id, function_id)
        ended_so = said.next is Next.NOBODY and found is not None and found.status == "completed" and found.claims == 1
        return Took.RECORDED if ended_so or (found is not None and said.next is Next.HERE) else Took.STALE

    async def _complete(self, conn: Connection, run_id: str, function_id: str, said: Said) -> None:
        await store.complete(conn, run_id, function_id, said.output)
        await ending.settle(conn, [run_id])
        await self.outbox.refresh(conn)
        if self.outbox.listens_to(ending.FINISHED):
            id_ = str(UUID(bytes=ids.of_step(run_id, EVENT, 0)))
            began = [event.as_dict() for event in (await events.load(conn, [id_])).values()]
            told = ending.lifecycle(ending.FINISHED, run_id, function_id, began, "Completed", result=loads(said.output))
            await self.outbox.add(conn, told)

    async def _transact(self, act: Callable[[Connection], Awaitable[Took]], said: Said) -> Took:
        for attempt in range(_ATTEMPTS):
            try:
                async with self.state() as conn, conn.transaction():
                    took = await act(conn)
                break
            except (Deadlocked, EventRepeated):
                if attempt + 1 == _ATTEMPTS:
                    raise
        if said.next is not Next.APP:
            self.wake()
        return took
