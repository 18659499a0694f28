"""An engine on a real state database, without a listener: events come through the door as a listener's would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson

from cdc.authoring.function import Function
from cdc.engine.inference import Models
from cdc.engine.roster import Fixed
from cdc.engine.sources import AtSource
from cdc.engine.worker import Worker
from cdc.events import ids
from cdc.events.accept import Door
from cdc.lsn import Position
from cdc.store import checkpoints, json, workers
from cdc.store.connect import connect, pool
from cdc.store.events import Incoming
from tests.servers import Connection
from tests.waiting import eventually

ENDED = ("completed", "failed", "cancelled")

LEASE = 60.0
"""Seconds: a machine that stands still for a while loses no lease that the test did not end."""


class NoEmbeddings:
    """For functions that embed nothing."""

    async def targets(self, table: tuple[str, str]) -> Sequence[Any]:
        raise AssertionError("these functions embed nothing")

    async def embed(self, model: str, texts: Sequence[str], *, query: bool = False) -> Sequence[Any]:
        raise AssertionError("these functions embed nothing")

    async def model(self, table: str, target: str | None = None) -> str:
        raise AssertionError("these functions embed nothing")

    async def search(self, table: str, words: str, limit: int = 5, **how: Any) -> list[Any]:
        raise AssertionError("these functions embed nothing")


class Engine:
    """One state database, its door, and any number of workers."""

    def __init__(self, url: str, conn: Connection, *, replayed: bool = False) -> None:
        self.url = url
        self.conn = conn
        self.door = Door(conn)
        self.replayed = replayed
        self.keeps_content = True
        self.has_state = True
        self.models: Models | None = None
        self.inferences = 1000
        self.workers: list[Worker] = []
        self._lsn = 100
        self._checkpoint: checkpoints.Checkpoint | None = None

    async def checkpoint(self) -> checkpoints.Checkpoint:
        if self._checkpoint is None:
            await checkpoints.open_source(
                self.conn, "default", system_identifier="1", timeline=1, slot="cdc", start=self._lsn
            )
            known = await checkpoints.current(self.conn, "default")
            assert known is not None
            self._checkpoint = await checkpoints.take_over(self.conn, known[1])
        return self._checkpoint

    async def send(self, name: str, *data: dict[str, Any]) -> list[str]:
        """Accept one event for each data, as one transaction of the source; returns their ids."""
        before = await self.checkpoint()
        self._lsn += 100
        events = [
            Incoming(
                ids.of_position(before.source_id, Position(self._lsn, ordinal)),
                name,
                1_750_000_000_000_000,
                orjson.dumps({"new": item, "old": None, "unchanged": []}),
                Position(self._lsn, ordinal),
            )
            for ordinal, item in enumerate(data)
        ]
        after = before.moved(Position(self._lsn, len(events) - 1), self._lsn)
        accepted = await self.door.accept(events, before, after)
        self._checkpoint = accepted.checkpoint
        self.wake()
        return [event.id.hex() for event in events]

    def forget_checkpoint(self) -> None:
        """The next events are those of a new incarnation."""
        self._checkpoint = None

    def wake(self) -> None:
        for worker in self.workers:
            worker.wake()

    @asynccontextmanager
    async def working(
        self,
        *functions: Function,
        lease: float = LEASE,
        grace: float = 5.0,
        capacity: int = 1000,
        roster: type[Fixed] = Fixed,
    ) -> AsyncIterator[Worker]:
        """A worker with these functions; it is stopped in order at the end of the block."""
        async with self._living(functions, lease, grace, capacity, roster) as (worker, life):
            try:
                yield worker
            finally:
                worker.stop()
                await life

    @asynccontextmanager
    async def doomed(
        self, *functions: Function, lease: float = LEASE, capacity: int = 1000
    ) -> AsyncIterator[asyncio.Task[None]]:
        """A worker whose task is handed out, and cancelled at the end: it leaves everything as it lies.

        Until its lease is ended it may claim what is due, as far as its capacity goes.
        """
        async with self._living(functions, lease, 10.0, capacity) as (_, life):
            try:
                yield life
            finally:
                life.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await life

    @asynccontextmanager
    async def _living(
        self,
        functions: Sequence[Function],
        lease: float,
        grace: float,
        capacity: int = 1000,
        roster: type[Fixed] = Fixed,
    ) -> AsyncIterator[tuple[Worker, asyncio.Task[None]]]:
        """A worker that is ready, or has failed to be, and its life."""
        ready = asyncio.Event()
        async with pool(self.url, size=2, name="test") as db:
            worker = Worker(
                roster({function.id: function for function in functions}),
                url=self.url,
                connect=lambda: connect(self.url, autocommit=True),
                sources=lambda source: AtSource(db, NoEmbeddings(), has_state=self.has_state),
                capacity=capacity,
                lease=lease,
                models=self.models,
                inferences=self.inferences,
                keeps_content=self.keeps_content,
                drop_after_each_step=self.replayed,
            )
            self.workers.append(worker)
            life = asyncio.create_task(worker.run(ready=lambda worker_id: ready.set(), grace=grace))
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({life, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            try:
                yield worker, life
            finally:
                self.workers.remove(worker)

    async def hurry(self) -> None:
        """Set the clock forward: whatever waits for a time is due now.

        Runs last: one that is claimed in between would find its steps as they were, and wait again.
        """
        await self.conn.execute("update cdc_state.steps set wake_at = now() where ended_at is null")
        await self.conn.execute("update cdc_state.inferences set due_at = now() where worker_id is null")
        await self.conn.execute(
            "update cdc_state.runs set due_at = now(), rank = now() where status in ('queued', 'sleeping', 'waiting')"
        )
        self.wake()

    async def end_leases(self, whose: str = "true") -> tuple[list[int], int]:
        """Take workers for dead, and give their runs away; no heartbeat comes in between."""
        async with self.conn.transaction():
            await self.conn.execute(
                f"update cdc_state.workers set lease_until = now() - interval '1 s' where {whose}".encode()
            )
            return await workers.rescue(self.conn)

    async def runs(self) -> list[dict[str, Any]]:
        cursor = await self.conn.execute(
            "select id::text, function_id, status, output, error, failures, claims from cdc_state.runs order by id"
        )
        names = ("id", "function", "status", "output", "error", "failures", "claims")
        return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]

    async def steps(self) -> dict[str, dict[str, Any]]:
        cursor = await self.conn.execute(
            "select id, kind, attempts, data, error, ended_at is not null from cdc_state.steps order by started_at"
        )
        names = ("kind", "attempts", "data", "error", "ended")
        return {row[0]: dict(zip(names, row[1:], strict=True)) for row in await cursor.fetchall()}

    async def ended(self, count: int = 1, *, hurried: bool = False, within: float = 60.0) -> list[dict[str, Any]]:
        """The runs, once `count` of them have ended; `hurried` lets no backoff and no sleep take its time."""

        async def all_ended() -> list[dict[str, Any]]:
            if hurried:
                await self.hurry()
            runs = await self.runs()
            return runs if sum(run["status"] in ENDED for run in runs) >= count else []

        return await eventually(all_ended, within=within, what=f"{count} runs ended")

    async def run_is(self, status: str) -> None:
        async def is_so() -> bool:
            return [run["status"] for run in await self.runs()] == [status]

        await eventually(is_so, what=f"the run is {status}")


async def open_engine(url: str, conn: Connection, *, replayed: bool = False) -> Engine:
    json.register()
    return Engine(url, conn, replayed=replayed)
