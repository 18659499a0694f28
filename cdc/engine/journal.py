"""Group commit: the results of all runs in flight are gathered and written in one statement, one commit.

A run goes on only after its own record is durable. Two connections take turns: while one batch commits, the next
gathers. This is where the speed comes from; a commit of its own for each step is an order of magnitude slower.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from cdc import faults
from cdc.errors import DatabaseUnreachable, LeaseLost
from cdc.events.outbox import Outbox
from cdc.store import journal as store
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.failures import StatementFailed, about_a_value
from cdc.store.journal import RunRecord, StepRecord

log = structlog.get_logger(__name__)

MOST = 1000
"""Records in one batch."""

MOST_BYTES = 16 * 1024 * 1024
"""Of documents in one batch, or one record: Postgres takes no message of 1 GB, and would refuse it for ever."""

_LONGEST_PAUSE = 5.0


class RecordRefused(Exception):
    """The database cannot store this record, whatever it is batched with."""


@dataclass(slots=True)
class _Entry:
    steps: Sequence[StepRecord]
    run: RunRecord | None
    events: Sequence[Incoming]
    durable: asyncio.Future[None]


class Journal:
    """Writes records for one worker. Open it once, close it after the last run."""

    def __init__(
        self,
        worker_id: int,
        connect: Callable[[], Awaitable[Connection]],
        *,
        on_runs: Callable[[], None] = lambda: None,
        leased: Callable[[], bool] = lambda: True,
        connections: int = 2,
    ) -> None:
        self._outbox = Outbox()
        self._on_runs = on_runs
        self._leased = leased
        self._worker_id = worker_id
        self._connect = connect
        self._connections = connections
        self._pending: list[_Entry] = []
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

    async def write(
        self, steps: Sequence[StepRecord] = (), run: RunRecord | None = None, events: Sequence[Incoming] = ()
    ) -> None:
        """Record steps, move a run and send events, all in one commit, with what else is at hand; durable on return.

        Raises:
            RecordRefused: the database cannot store it.
            LeaseLost: this worker may not write any more.
        """
        if self._closing:
            raise _lost()
        durable = asyncio.get_running_loop().create_future()
        self._pending.append(_Entry(steps, run, events, durable))
        self._ready.set()
        await durable

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

    def _take(self) -> list[_Entry]:
        count = _fitting(self._pending)
        batch, self._pending = self._pending[:count], self._pending[count:]
        if not self._pending and not self._closing:
            self._ready.clear()
        return batch

    async def _commit(self, conn: Connection, batch: list[_Entry]) -> Connection:
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

    async def _commit_apart(self, conn: Connection, batch: list[_Entry], error: StatementFailed) -> Connection:
        """Halve until the guilty record stands alone; only its run suffers."""
        if len(batch) == 1:
            _refuse(batch[0], RecordRefused(str(error).strip()))
            return conn
        middle = len(batch) // 2
        conn = await self._commit(conn, batch[:middle])
        return await self._commit(conn, batch[middle:])

    async def _write(self, conn: Connection, batch: list[_Entry]) -> None:
        steps = [step for entry in batch for step in entry.steps]
        runs = [entry.run for entry in batch if entry.run is not None]
        events = [event for entry in batch for event in entry.events]
        faults.point("journal.before_commit")
        if events:
            alive = await self._write_and_send(conn, steps, runs, events)
        else:
            alive = await store.write(conn, self._worker_id, steps, runs)
        faults.point("journal.committed")
        for entry in batch:
            if not alive:
                _refuse(entry, _lost())
            elif not entry.durable.done():
                entry.durable.set_result(None)

    async def _write_and_send(
        self, conn: Connection, steps: list[StepRecord], runs: list[RunRecord], events: list[Incoming]
    ) -> bool:
        """The same with events in the same transaction; the runs that they start are there when it commits."""
        async with conn.transaction():
            alive = await store.write(conn, self._worker_id, steps, runs)
            started = await self._outbox.add(conn, events) if alive else 0
        if started:
            self._on_runs()
        return alive


def _fitting(entries: Sequence[_Entry]) -> int:
    """How many of these, from the first on, make one batch."""
    room = MOST_BYTES
    for count, entry in enumerate(entries[:MOST]):
        room -= sum(len(step.data or "") + len(step.error or "") for step in entry.steps)
        if entry.run is not None:
            room -= len(entry.run.output or "") + len(entry.run.error or "")
        if room < 0 and count:
            return count
    return min(MOST, len(entries))


def _refuse(entry: _Entry, error: Exception) -> None:
    if not entry.durable.done():
        entry.durable.set_exception(error)


def _lost() -> LeaseLost:
    return LeaseLost("This worker's lease is gone; its runs belong to other workers now.")
