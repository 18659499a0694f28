"""Claims due runs and keeps them in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from cdc import faults
from cdc.clock import set_within
from cdc.engine import counting, places, whereabouts
from cdc.engine.executor import Executor
from cdc.engine.outcome import Retry, Suspended
from cdc.engine.places import Claimed
from cdc.engine.roster import Group
from cdc.engine.whereabouts import Whereabouts
from cdc.errors import DatabaseUnreachable, LeaseLost
from cdc.store import events, journal, runs, workers
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble
from cdc.store.runs import ClaimedRun

log = structlog.get_logger(__name__)

MOST = 500
"""Runs claimed at once."""

POLL = 10.0
"""Seconds after which an idle worker looks for due runs unasked: the safety net under the wake-ups."""

_LOOK = 0.25
"""Seconds between two looks for cancelled runs."""

_SUSPECTS = 1.0
"""Seconds between two looks for suspects, when there are none."""

_RECALL = 1.0
"""Seconds between two looks for runs that stand at gates with room, while any stand."""

_SHORTEST = 0.02
"""Seconds; a run that is due but locked by another worker must not be asked for in a tight loop."""


class Claims:
    """Up to `capacity` runs in flight for one worker."""

    def __init__(
        self, worker_id: int, executor: Executor, connect: Callable[[], Awaitable[Connection]], *, capacity: int
    ) -> None:
        self._worker_id = worker_id
        self._executor = executor
        self._roster = executor.roster
        self._open = executor.roster.open()
        self._is_gated = self._has_gates = places.have_gates(self._open.flows)
        self._placed_first = False
        self._suspect: str | None = None
        self._suspects_at = 0.0
        self._connect = connect
        self._capacity = capacity
        self._flight: dict[str, asyncio.Task[None]] = {}
        self._awake = asyncio.Event()
        self._room = asyncio.Event()
        self._due_at = 0.0
        self._look_at = 0.0
        self._recall_at = 0.0
        self._stopping = False
        self._broken: Exception | None = None

    @property
    def in_flight(self) -> int:
        """Runs in memory now."""
        return len(self._flight)

    def wake(self) -> None:
        """Look for due runs now, and for cancelled ones."""
        self._awake.set()
        self._room.set()

    def stop(self) -> None:
        """Claim nothing more; `claim_forever` returns soon."""
        self._stopping = True
        self._awake.set()
        self._room.set()

    def fail(self, error: Exception) -> None:
        """The engine itself failed: `claim_forever` raises this soon."""
        self._broken = error
        self.stop()

    async def claim_forever(self) -> None:
        """Claim and start due runs until `stop`, through any loss of the connection.

        Raises:
            Exception: the engine itself failed; going on would leave a run in flight that nobody follows.
        """
        pause = 0.05
        while not self._stopping:
            try:
                async with await self._connect() as conn:
                    await workers.release_unknown(conn, self._worker_id, self._flight)
                    pause = 0.05
                    self._due_at = 0.0
                    await self._claim_over(conn)
            except (*ConnectionTrouble, DatabaseUnreachable) as error:
                log.warning("worker waits for the database", reason=str(error).strip(), seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
        if self._broken:
            raise self._broken

    async def drain(self, grace: float) -> None:
        """Let runs in flight end for `grace` seconds, then let go of the rest: their memos are kept."""
        if self._flight:
            await asyncio.wait(self._flight.values(), timeout=grace)
        await self.abandon()

    async def abandon(self) -> None:
        """Drop all runs in flight at once."""
        tasks = list(self._flight.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    async def _claim_over(self, conn: Connection) -> None:
        while not self._stopping:
            await self._until_room(conn)
            self._awake.clear()
            await self._look_who_is_open(conn)
            more = await self._recall(conn)
            if not await self._claim(conn) and not more:
                await self._look_ahead(conn)
                await self._claim_suspect(conn)
                await self._drop_cancelled(conn)
                await self._until_due()

    async def _look_who_is_open(self, conn: Connection) -> None:
        await self._roster.refresh(conn)
        is_open = self._roster.open()
        if is_open.flows is not self._open.flows and is_open.flows != self._open.flows:
            self._is_gated = places.have_gates(is_open.flows)
            self._has_gates |= self._is_gated
            self._due_at = 0.0
        self._open = is_open

    async def _claim(self, conn: Connection) -> bool:
        """Claim and start; whether there may be more. Runs without gates and those with are asked for first by turns:
        neither can take all the room for ever.
        """
        kinds = [self._claim_free, self._claim_placed]
        self._placed_first = not self._placed_first
        more = False
        for group in self._open.groups:
            room = group.limit
            for claim in reversed(kinds) if self._placed_first else kinds:
                if (limit := min(MOST, room, self._capacity - len(self._flight))) > 0:
                    claimed = await claim(conn, group, limit)
                    await self._start(conn, claimed.runs)
                    room -= len(claimed.runs)
                    more |= claimed.more and room > 0
        return more

    async def _claim_free(self, conn: Connection, group: Group, limit: int) -> Claimed:
        claimed = await runs.claim(conn, self._worker_id, group.functions, limit)
        return Claimed(claimed, more=len(claimed) == limit)

    async def _claim_placed(self, conn: Connection, group: Group, limit: int) -> Claimed:
        if not self._has_gates:
            return Claimed([], more=False)
        placed = await places.claim(conn, self._worker_id, group.flows, limit, suspects=int(self._may_suspect))
        self._has_gates = self._is_gated or bool(placed.runs) or placed.more
        self._suspect = next((run.id for run in placed.runs if run.rescues > 2), self._suspect)
        if placed.held:
            self._recall_at = min(self._recall_at, asyncio.get_running_loop().time() + _RECALL)
        return placed

    async def _claim_suspect(self, conn: Connection) -> None:
        """A run that is suspected of having killed its worker: alone, so that no other is found guilty with it; see
        docs/operations.md on quarantine.
        """
        now = asyncio.get_running_loop().time()
        if not self._may_suspect:
            return
        if now < self._suspects_at:
            self._due_at = min(self._due_at, self._suspects_at)
            return
        suspects = await runs.claim(conn, self._worker_id, self._open.functions, 1, suspect=True)
        self._suspects_at = 0.0 if suspects else now + _SUSPECTS
        self._suspect = suspects[0].id if suspects else None
        await self._start(conn, suspects)

    @property
    def _may_suspect(self) -> bool:
        return self._suspect not in self._flight

    async def _recall(self, conn: Connection) -> bool:
        """Call runs that stand at gates where there is room, now and then, so that no lost call holds them for ever.

        At most a fiftieth of the time goes into that; while no run stands anywhere, it is asked as seldom as all polls.
        """
        begun = asyncio.get_running_loop().time()
        if begun < self._recall_at:
            return False
        called, standing = await places.recall(conn, self._open.flows)
        self._has_gates = True  # for once, if none of these functions has limits: it may have lost them
        now = asyncio.get_running_loop().time()
        self._recall_at = now + (min(POLL, max(_RECALL, 50 * (now - begun))) if standing else POLL)
        return called

    async def _start(self, conn: Connection, claimed: Sequence[ClaimedRun]) -> None:
        if not claimed:
            return
        counting.claimed(claimed)
        faults.point("worker.claimed")
        loaded = await events.load(conn, {event_id for run in claimed for event_id in run.event_ids})
        replayed = [run.id for run in claimed if run.claims > 1]
        if replayed:
            await runs.expire_waits(conn, replayed)
        memos = await runs.memos(conn, replayed)
        told = await journal.told(conn, replayed)
        traces = await whereabouts.load(conn, claimed, loaded)
        for run in claimed:
            seen = [loaded[id_] for id_ in run.event_ids if id_ in loaded]
            place = Whereabouts(run, traces.get(run.id))
            execute = partial(self._executor.execute, run, seen, memos.get(run.id, {}), told.get(run.id, {}), place)
            self._flight[run.id] = asyncio.create_task(self._follow(run.id, execute))

    async def _drop_cancelled(self, conn: Connection) -> bool:
        """Stop executing what was cancelled; asked at most every `_LOOK` seconds, and only while runs are in flight.

        Returns whether nothing of it is left to ask.
        """
        now = asyncio.get_running_loop().time()
        if not self._flight:
            return True
        if now < self._look_at:
            self._due_at = min(self._due_at, self._look_at)
            return False
        self._look_at = now + _LOOK
        for run_id in await runs.cancelled(conn, self._worker_id):
            if task := self._flight.pop(run_id, None):
                task.cancel()
        return True

    async def _follow(self, run_id: str, execute: Callable[[], Awaitable[object]]) -> None:
        try:
            ended = await execute()
            if isinstance(ended, Suspended | Retry):
                self._note_due(ended.due_in)
        except LeaseLost:
            log.warning("run lost", run=run_id)
        except Exception as error:  # noqa: BLE001 - a fault of the engine, not of the author's code
            self.fail(error)
        finally:
            # A run that was due again at once may have been claimed anew before its journal's answer came here.
            if self._flight.get(run_id) is asyncio.current_task():
                del self._flight[run_id]
            if self._capacity - len(self._flight) >= self._enough_room:
                self._room.set()

    @property
    def _enough_room(self) -> int:
        """Free places worth a claim: claiming one by one would cost a statement for each run."""
        return max(1, min(MOST, self._capacity) // 4)

    async def _until_room(self, conn: Connection) -> None:
        pause = POLL
        while not self._stopping and self._capacity - len(self._flight) < self._enough_room:
            await set_within(self._room, pause)
            self._room.clear()  # before the look: who says meanwhile that a run was cancelled is heard by the next one
            pause = POLL if await self._drop_cancelled(conn) else _LOOK

    async def _look_ahead(self, conn: Connection) -> None:
        """Find out when the next run is due, once that moment has come."""
        now = asyncio.get_running_loop().time()
        if self._due_at <= now:
            self._due_at = now + POLL  # before the look: what it may miss is noted meanwhile, and must not be forgotten
            due_in = await runs.next_due(conn, self._open.functions)
            if due_in is not None:
                self._due_at = min(self._due_at, now + max(_SHORTEST, due_in))

    async def _until_due(self) -> None:
        """Wait for a wake-up, for the next run that is due, or for the next poll."""
        now = asyncio.get_running_loop().time()
        if (opens_in := self._roster.opens_in()) is not None:
            self._due_at = min(self._due_at, now + max(_SHORTEST, opens_in))
        try:
            async with asyncio.timeout_at(min(self._due_at, max(self._recall_at, now + _SHORTEST))):
                await self._awake.wait()
        except TimeoutError:
            pass

    def _note_due(self, due_in: float) -> None:
        due_at = asyncio.get_running_loop().time() + due_in
        if due_at < self._due_at:
            self._due_at = due_at
            self._awake.set()
