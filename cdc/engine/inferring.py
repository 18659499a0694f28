"""Calls models for runs that wait in the database: many at once, under the worker's lease, answered in batches.

A call is made at least once: a worker that dies, or loses its lease, while one is under way gives it to another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from opentelemetry.trace import SpanContext

from cdc import faults
from cdc.engine import counting, whereabouts
from cdc.engine.inference import Answered, Asked, Models
from cdc.errors import DatabaseUnreachable
from cdc.store import ai_calls, inferences
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble, StatementFailed, about_a_value

log = structlog.get_logger(__name__)

MOST = 500
"""Inferences claimed, or answered, at once."""

MOST_BYTES = 16 * 1024 * 1024
"""Of answers in one batch."""

POLL = 10.0
"""Seconds between looks for due inferences, unasked."""

_APART = 0.25
"""Seconds between looks that wake-ups ask for: most of those are about runs. Our own journal's are heard at once."""

_CHECK = 1.0
"""Seconds between looks for calls of runs that were cancelled."""

_SHORTEST = 0.02
_LONGEST_PAUSE = 5.0
_LAST_WORDS = 5.0


class Inferrer:
    """Up to `capacity` calls at once for one worker. `on_runs` is called when runs go on, and when there are more calls
    to be made than this worker has room for; `on_broken` when the engine itself failed.
    """

    def __init__(
        self,
        worker_id: int,
        models: Models,
        connect: Callable[[], Awaitable[Connection]],
        *,
        capacity: int,
        now: Callable[[], float] = time.time,
        on_runs: Callable[[], None] = lambda: None,
        on_broken: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._worker_id = worker_id
        self._models = models
        self._connect = connect
        self._capacity = capacity
        self._now = now
        self._on_runs = on_runs
        self._on_broken = on_broken
        self._flight: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._answered: list[Answered] = []
        self._awake = asyncio.Event()
        self._look_at = 0.0
        self._looked_at = 0.0
        self._check_at = 0.0
        self._checked_at = 0.0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Calls under way, or answered and not recorded yet."""
        return len(self._flight)

    def start(self) -> None:
        """Begin to claim."""
        self._task = asyncio.create_task(self._infer_forever(), name="inferrer")

    def wake(self) -> None:
        """Something became due somewhere, or was cancelled."""
        now = asyncio.get_running_loop().time()
        self._look_at = min(self._look_at, max(now, self._looked_at + _APART))
        self._check_at = min(self._check_at, max(now, self._checked_at + _CHECK))
        self._awake.set()

    def wake_at_once(self) -> None:
        """An inference is due: a run of this worker asked for it just now. Without room, others are told."""
        self._look_at = 0.0
        self._awake.set()
        if len(self._flight) >= self._capacity:
            self._on_runs()

    async def drain(self, grace: float) -> None:
        """Claim nothing more; let calls end for `grace` seconds. Those that do not are given back by who leaves."""
        self._stopping = True
        self._awake.set()
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=grace)
        if not self._task.done():
            answered = {each.asked.inference.key for each in self._answered}
            for key in self._flight.keys() - answered:
                self._flight.pop(key).cancel()
            self._awake.set()
            await asyncio.wait([self._task], timeout=_LAST_WORDS)
        await self.abandon()

    async def abandon(self) -> None:
        """Drop all calls at once."""
        tasks = [*self._flight.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._flight.clear()

    async def _infer_forever(self) -> None:
        """Through any loss of the connection, until drained."""
        pause = 0.05
        while not self._is_done:
            try:
                async with await self._connect() as conn:
                    await inferences.release_unknown(conn, self._worker_id, self._flight)
                    pause = 0.05
                    await self._infer_over(conn)
            except (*ConnectionTrouble, DatabaseUnreachable) as error:
                log.warning("inferences wait for the database", reason=str(error).strip(), seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            except Exception as error:  # noqa: BLE001 - a fault of the engine: going on would leave runs waiting for ever
                self._on_broken(error)
                return

    @property
    def _is_done(self) -> bool:
        return self._stopping and not self._flight

    async def _infer_over(self, conn: Connection) -> None:
        while not self._is_done:
            self._awake.clear()
            await self._record(conn)
            await self._claim(conn)
            await self._drop_cancelled(conn)
            await self._until_due()

    async def _claim(self, conn: Connection) -> None:
        now = asyncio.get_running_loop().time()
        room = self._capacity - len(self._flight)
        if self._stopping or now < self._look_at or room <= 0:
            return
        self._looked_at, self._look_at = now, now + POLL
        limit = min(MOST, room)
        claimed = await inferences.claim(conn, self._worker_id, limit)
        if claimed:
            faults.point("inference.claimed")
        traced = await whereabouts.of_inferences(conn, claimed)
        for inference in claimed:
            asked = Asked(inference, self._models, self._now)
            self._flight[inference.key] = asyncio.create_task(self._ask(asked, traced.get(inference.key)))
        if len(claimed) == limit:
            self._look_at = 0.0
        elif (due_in := await inferences.next_due(conn)) is not None:
            self._look_at = min(self._look_at, now + max(_SHORTEST, due_in))

    async def _ask(self, asked: Asked, span: SpanContext | None) -> None:
        whereabouts.enter_inference(asked.inference, span)
        answered = await asked.answer()
        faults.point("inference.answered")
        self._answered.append(answered)
        self._awake.set()

    async def _record(self, conn: Connection) -> None:
        """Write what came, in batches."""
        while batch := _fitting(self._answered):
            await self._write(conn, batch)
            for each in batch:
                self._flight.pop(each.asked.inference.key, None)
            del self._answered[: len(batch)]

    async def _write(self, conn: Connection, batch: list[Answered]) -> None:
        """Record a batch; halve it until a guilty answer stands alone, and refuse that one."""
        try:
            async with conn.transaction():
                woken = await inferences.answer(conn, self._worker_id, [each.record for each in batch])
                if woken is None:
                    return  # the lease is gone: others ask again
                await ai_calls.write(conn, [each.call for each in batch])
        except StatementFailed as error:
            if not about_a_value(error):
                raise
            if len(batch) == 1:
                await self._write(conn, [batch[0].refused(error)])
                return
            middle = len(batch) // 2
            await self._write(conn, batch[:middle])
            await self._write(conn, batch[middle:])
            return
        faults.point("inference.recorded")
        counting.answered(batch)
        pauses = [each.record.due_in for each in batch if each.record.due_in is not None]
        if pauses:
            self._look_at = min(self._look_at, asyncio.get_running_loop().time() + min(pauses))
        if woken:
            self._on_runs()

    async def _drop_cancelled(self, conn: Connection) -> None:
        """Hang up on calls whose runs have ended."""
        now = asyncio.get_running_loop().time()
        if not self._flight or now < self._check_at:
            return
        self._checked_at, self._check_at = now, now + POLL
        held = await inferences.held(conn, self._worker_id)
        answered = {each.asked.inference.key for each in self._answered}
        for key in self._flight.keys() - held - answered:
            self._flight.pop(key).cancel()

    async def _until_due(self) -> None:
        """Until a wake-up, an answer, or the next look."""
        if self._is_done:
            return
        full = self._stopping or len(self._flight) >= self._capacity
        looks = [POLL + asyncio.get_running_loop().time() if full else self._look_at]
        if self._flight:
            looks.append(self._check_at)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(looks)):
                await self._awake.wait()


def _fitting(answered: list[Answered]) -> list[Answered]:
    """The first of these, as many as make one batch."""
    room = MOST_BYTES
    for count, each in enumerate(answered[:MOST]):
        room -= len(each.record.data or "")
        if room < 0 and count:
            return answered[:count]
    return answered[:MOST]
