"""Group commit: the results of all runs in flight are gathered and written in one statement, one commit.

A run goes on only after its own record is durable. Two connections take turns: while one batch commits, the next
gathers. This is where the speed comes from; a commit of its own for each step is an order of magnitude slower.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from cdc import faults
from cdc.clock import ServerClock
from cdc.errors import DatabaseUnreachable, LeaseLost
from cdc.events import deferring, ending, fulfil, intake
from cdc.events.ending import FINISHED
from cdc.events.outbox import Invocation, Outbox
from cdc.store import inferences, server, waits
from cdc.store import journal as store
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.failures import StatementFailed, about_a_value
from cdc.store.inferences import Beside
from cdc.store.journal import LogRecord, RunRecord, StepRecord
from cdc.store.waits import WaitRecord

log = structlog.get_logger(__name__)

MOST = 1000
"""Records in one batch."""

MOST_BYTES = 16 * 1024 * 1024
"""Of documents in one batch, or one record: Postgres takes no message of 1 GB, and would refuse it for ever."""

_LONGEST_PAUSE = 5.0


class RecordRefused(Exception):
    """The database cannot store this record, whatever it is batched with."""


@dataclass(slots=True)
class Entry:
    """What one run has to record, all in one commit: steps, what becomes of the run, events it sends, runs it invokes,
    what it waits for from now on, what it told its logger, and what is kept of calls of models. `finished` gives the
    event that tells of the run's end, for which only some listen. `forgets`: with its end, what models said goes.
    `defers`: with its end, others may start that it has deferred.
    """

    steps: Sequence[StepRecord] = ()
    run: RunRecord | None = None
    events: Sequence[Incoming] = ()
    invocations: Sequence[Invocation] = ()
    waits: Sequence[WaitRecord] = ()
    logs: Sequence[LogRecord] = ()
    beside: Sequence[Beside] = ()
    forgets: bool = False
    defers: bool = False
    finished: Callable[[], Sequence[Incoming]] | None = None
    made_at: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        """Characters of its documents."""
        size = 0
        for step in self.steps:
            size += len(step.data or step.error or "") + len(step.input or "")
        for event in self.told:
            size += len(event.data)
        for kept in self.beside:
            size += 2 * len(kept.input or (kept.inference.request if kept.inference else ""))
        return size if self.run is None else size + len(self.run.output or self.run.error or "")

    @property
    def is_plain(self) -> bool:
        """Whether the one statement for steps and runs does it all."""
        return not (
            self.events
            or self.invocations
            or self.waits
            or self.logs
            or self.beside
            or self.forgets
            or self.defers
            or (self.run is not None and self.run.holds)
        )

    @property
    def told(self) -> list[Incoming]:
        """All events that it takes in."""
        if not self.invocations:
            return list(self.events)
        return [*self.events, *(invocation.event for invocation in self.invocations)]


@dataclass(slots=True)
class Draft:
    """An entry in the making: what waiting branches of a run have to record."""

    steps: list[StepRecord] = field(default_factory=list)
    invocations: list[Invocation] = field(default_factory=list)
    waits: list[WaitRecord] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)
    made_at: float = field(default_factory=time.monotonic)

    def entry(self) -> Entry:
        """The entry that it is by now."""
        return Entry(
            self.steps,
            invocations=self.invocations,
            waits=self.waits,
            logs=self.logs,
            beside=self.beside,
            made_at=self.made_at,
        )


@dataclass(slots=True)
class _Pending:
    entry: Entry
    durable: asyncio.Future[bool]


class Journal:
    """Writes records for one worker. Open it once, close it after the last run."""

    def __init__(
        self,
        worker_id: int,
        connect: Callable[[], Awaitable[Connection]],
        *,
        on_runs: Callable[[], None] = lambda: None,
        on_inferences: Callable[[], None] = lambda: None,
        leased: Callable[[], bool] = lambda: True,
        clock: ServerClock | None = None,
        connections: int = 2,
    ) -> None:
        self.clock = clock or ServerClock()
        self._outbox = Outbox()
        self._on_runs = on_runs
        self._on_inferences = on_inferences
        self._leased = leased
        self._worker_id = worker_id
        self._connect = connect
        self._connections = connections
        self._pending: list[_Pending] = []
        self._ready = asyncio.Event()
        self._closing = False
        self._committers: list[asyncio.Task[None]] = []

    @property
    def leased(self) -> bool:
        """Whether this worker may write, as far as it knows; a step that begins without that would be done twice."""
        return not self._closing and self._leased()

    async def open(self) -> None:
        """Connect and start committing."""
        connections = [await self._connect() for _ in range(self._connections)]
        await self._outbox.refresh(connections[0])
        self.clock.set(await server.clock(connections[0]), time.monotonic())
        self._committers = [asyncio.create_task(self._commit_forever(conn)) for conn in connections]

    async def close(self) -> None:
        """Write what is left, then stop. Tolerates being called twice."""
        self._closing = True
        self._ready.set()
        await asyncio.gather(*self._committers)
        self._committers = []

    def abandon(self) -> None:
        """Refuse everything from now on: the lease is gone."""
        self._closing = True
        for entry in self._pending:
            _refuse(entry, _lost())
        self._pending.clear()
        for committer in self._committers:
            committer.cancel()
        self._committers = []

    async def write(self, entry: Entry) -> bool:
        """Record an entry in one commit, with what else is at hand; durable on return.

        Returns whether its run was moved, if it has one: not when it was cancelled meanwhile.

        Raises:
            RecordRefused: the database cannot store it.
            LeaseLost: this worker may not write any more.
        """
        if self._closing:
            raise _lost()
        durable: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(entry, durable))
        self._ready.set()
        return await durable

    async def _commit_forever(self, conn: Connection) -> None:
        try:
            while True:
                await self._ready.wait()
                batch = self._take()
                if batch:
                    conn = await self._commit(conn, batch)
                elif self._closing:
                    return
        finally:
            await conn.close()

    def _take(self) -> list[_Pending]:
        count = _fitting(self._pending)
        batch, self._pending = self._pending[:count], self._pending[count:]
        if not self._pending and not self._closing:
            self._ready.clear()
        return batch

    async def _commit(self, conn: Connection, batch: list[_Pending]) -> Connection:
        """Write one batch, however long the database takes to come back; returns the connection to go on with."""
        pause = 0.05
        while True:
            try:
                await self._write(conn, batch)
            except StatementFailed as error:
                if about_a_value(error):
                    return await self._commit_apart(conn, batch, error)
                log.warning("journal waits for the database", reason=str(error).strip(), seconds=pause)
            except asyncio.CancelledError:
                for entry in batch:
                    _refuse(entry, _lost())
                raise
            else:
                return conn
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            conn = await self._reconnected(conn)

    async def _reconnected(self, conn: Connection) -> Connection:
        if not conn.closed:
            return conn
        try:
            return await self._connect()
        except DatabaseUnreachable:
            return conn

    async def _commit_apart(self, conn: Connection, batch: list[_Pending], error: StatementFailed) -> Connection:
        """Halve until the guilty record stands alone; only its run suffers."""
        if len(batch) == 1:
            _refuse(batch[0], RecordRefused(str(error).strip()))
            return conn
        middle = len(batch) // 2
        conn = await self._commit(conn, batch[:middle])
        return await self._commit(conn, batch[middle:])

    async def _write(self, conn: Connection, batch: list[_Pending]) -> None:
        entries = [pending.entry for pending in batch]
        faults.point("journal.before_commit")
        known = self._outbox.version
        listens = self._outbox.listens_to(FINISHED) and any(entry.finished for entry in entries)
        if not listens and all(entry.is_plain for entry in entries):
            written = await self._write_rows(conn, entries)
            due = written.woken
        else:
            written, due = await self._write_all(conn, entries, listens=listens)
            if written.alive and any(kept.inference for entry in entries for kept in entry.beside):
                self._on_inferences()
        faults.point("journal.committed")
        if written.alive and written.version != known and not listens:
            due |= await self._learn(conn, _moved(entries, written))
        for pending in batch:
            if not written.alive:
                _refuse(pending, _lost())
            elif not pending.durable.done():
                run = pending.entry.run
                pending.durable.set_result(run is None or run.id not in written.unmoved)
        if due:
            self._on_runs()

    async def _write_rows(self, conn: Connection, entries: Sequence[Entry]) -> store.Written:
        steps = [step for entry in entries for step in entry.steps]
        runs = [entry.run for entry in entries if entry.run is not None]
        return await store.write(conn, self._worker_id, steps, runs)

    async def _learn(self, conn: Connection, entries: Sequence[Entry]) -> bool:
        """Take note of functions that are new; those that listen to ends of runs hear of these, too."""
        await self._outbox.refresh(conn)
        finished = _finished(entries) if self._outbox.listens_to(FINISHED) else []
        if not finished:
            return False
        async with conn.transaction():
            await waits.lock_names(conn, accepted=intake.names(finished))
            return (await self._outbox.add(conn, finished)).due

    async def _write_all(
        self, conn: Connection, entries: Sequence[Entry], *, listens: bool
    ) -> tuple[store.Written, bool]:
        """The same with what comes of it, in one transaction; and whether that made any run due.

        `listens`: some function starts when runs finish.
        """
        async with conn.transaction():
            names = {event.name for entry in entries for event in entry.told}
            if listens and any(entry.finished for entry in entries):
                names.add(FINISHED)
            if any(entry.defers for entry in entries):
                names.add(deferring.DEFERRED)
            awaited = {wait.event for entry in entries for wait in entry.waits}
            if names or awaited:
                await waits.lock_names(conn, accepted=names, awaited=awaited)
            written = await self._write_rows(conn, entries)
            if not written.alive:
                return written, False
            moved = _moved(entries, written)
            due = written.woken | await self._follow(conn, moved, _finished(moved) if listens else [])
            await inferences.keep(conn, [kept for entry in entries for kept in entry.beside])
            await store.write_logs(conn, [line for entry in entries for line in entry.logs])
        return written, due

    async def _follow(self, conn: Connection, entries: Sequence[Entry], finished: Sequence[Incoming]) -> bool:
        """What comes of these entries, besides their rows; whether that made any run due."""
        registered = [(wait, entry) for entry in entries for wait in entry.waits]
        events = [*(event for entry in entries for event in entry.events), *finished]
        if defers := [entry.run.id for entry in entries if entry.run is not None and entry.defers]:
            events += await deferring.due(conn, defers)
        invocations = [invocation for entry in entries for invocation in entry.invocations]
        due = False
        if registered:
            asked = await _asked(conn, registered)
            due = await fulfil.catch_up(conn, [wait for wait, _ in registered], asked) > 0
        if events or invocations:
            due |= (await self._outbox.add(conn, events, invocations)).due
        if holding := [entry.run.id for entry in entries if entry.run is not None and entry.run.holds]:
            due |= await ending.settle(conn, holding)
        if forgetting := [entry.run.id for entry in entries if entry.run is not None and entry.forgets]:
            await inferences.forget_content(conn, forgetting)
        return due


def _moved(entries: Sequence[Entry], written: store.Written) -> list[Entry]:
    """Without the runs that were cancelled meanwhile: these have told their end already, and what they came to in
    memory is of no account.
    """
    return [entry for entry in entries if entry.run is None or entry.run.id not in written.unmoved]


def _finished(entries: Sequence[Entry]) -> list[Incoming]:
    return [event for entry in entries if entry.finished for event in entry.finished()]


async def _asked(conn: Connection, waits_: Sequence[tuple[WaitRecord, Entry]]) -> list[float]:
    """When the steps asked for these waits, by the database's clock; early by the time that it takes to ask for that,
    but never before the run was claimed: an event that it has had already is not the next one.
    """
    clock = await server.clock(conn)
    now = time.monotonic()
    return [max(wait.claimed_at, clock - (wait.since + now - entry.made_at)) for wait, entry in waits_]


def _fitting(waiting: Sequence[_Pending]) -> int:
    """How many of these, from the first on, make one batch."""
    room = MOST_BYTES
    for count, pending in enumerate(waiting[:MOST]):
        room -= pending.entry.size
        if room < 0 and count:
            return count
    return min(MOST, len(waiting))


def _refuse(entry: _Pending, error: Exception) -> None:
    if not entry.durable.done():
        entry.durable.set_exception(error)


def _lost() -> LeaseLost:
    return LeaseLost("This worker's lease is gone; its runs belong to other workers now.")
