"""The life of one worker: a lease, a heartbeat, a journal, and runs in flight."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from cdc.clock import ServerClock
from cdc.engine.claims import Claims
from cdc.engine.executor import Executor
from cdc.engine.heartbeat import Heartbeat
from cdc.engine.inference import Models
from cdc.engine.inferring import Inferrer
from cdc.engine.journal import Journal
from cdc.engine.rereading import Rereading
from cdc.engine.roster import Roster
from cdc.engine.sources import Sources
from cdc.errors import LeaseLost
from cdc.store import workers
from cdc.store.connect import Connection


class Worker:
    """Executes functions until stopped. `capacity` is the number of runs in flight, `lease` its length in seconds.
    `sources` gives runs the database that they are about. With `models`, up to `inferences` of their calls are
    under way at once; `keeps_content`: what they are asked and say stays.

    A worker that is `held` registers its functions and claims nothing before it is woken for the first time.
    `on_runs` is called when a run of its made others, which any worker may execute.
    """

    def __init__(
        self,
        roster: Roster,
        *,
        url: str,
        connect: Callable[[], Awaitable[Connection]],
        sources: Sources,
        capacity: int = 1000,
        lease: float = 15.0,
        models: Models | None = None,
        inferences: int = 1000,
        keeps_content: bool = True,
        drop_after_each_step: bool = False,
        held: bool = False,
        on_runs: Callable[[], None] = lambda: None,
    ) -> None:
        self._roster = roster
        self._url = url
        self._connect = connect
        self._sources = sources
        self._capacity = capacity
        self._lease = lease
        self._models = models
        self._inferences = inferences
        self._keeps_content = keeps_content
        self._drop_after_each_step = drop_after_each_step
        self._on_runs = on_runs
        self._claims: Claims | None = None
        self._inferrer: Inferrer | None = None
        self._stopping = False
        self._at_once = False
        self._let_go = asyncio.Event()
        if not held:
            self._let_go.set()

    @property
    def in_flight(self) -> int:
        """Runs in memory now."""
        return self._claims.in_flight if self._claims else 0

    @property
    def inferring(self) -> int:
        """Calls of models under way."""
        return self._inferrer.in_flight if self._inferrer else 0

    def wake(self) -> None:
        """Look for due runs now; a worker that was `held` begins to."""
        self._let_go.set()
        if self._claims:
            self._claims.wake()
        if self._inferrer:
            self._inferrer.wake()

    def stop(self, *, at_once: bool = False) -> None:
        """Claim nothing more; `run` returns when the runs in flight are done or released, `at_once`: released."""
        self._stopping = True
        self._at_once = at_once
        self._let_go.set()
        if self._claims:
            self._claims.stop()

    async def run(self, *, ready: Callable[[int], None] = lambda worker_id: None, grace: float = 10.0) -> None:
        """Register, work until `stop`, then give back the runs that are not done within `grace` seconds.

        `ready` is called with the worker's id once it is registered and about to claim.

        Raises:
            LeaseLost: somebody ended this worker's lease; its runs were given away and all its writes are refused.
        """
        worker_id = await self._register()
        lost = asyncio.Event()
        clock = ServerClock()
        heartbeat = self._heartbeat(worker_id, clock, lost)
        journal = Journal(
            worker_id,
            self._connect,
            on_runs=self._made_runs,
            on_inferences=self._made_inferences,
            leased=heartbeat.is_good,
            clock=clock,
        )
        executor = Executor(
            self._roster,
            journal,
            worker_id,
            self._sources,
            Rereading(self._connect),
            self._keeps_content,
            self._drop_after_each_step,
        )
        self._claims = claims = Claims(worker_id, executor, self._connect, capacity=self._capacity)
        self._inferrer = self._new_inferrer(worker_id, clock, claims)
        if self._stopping:
            claims.stop()
        heartbeat.start()
        try:
            await journal.open()
            ready(worker_id)
            if not await self._until_stopped(claims, lost):
                journal.abandon()
                if self._inferrer:
                    await self._inferrer.abandon()
                await claims.abandon()
                raise LeaseLost("This worker's lease is gone; its runs belong to other workers now.")
            grace = 0.0 if self._at_once else grace
            inferring = [self._inferrer.drain(grace)] if self._inferrer else []
            await asyncio.gather(claims.drain(grace), *inferring)
            await journal.close()
            await self._leave(worker_id)
        finally:
            heartbeat.stop()
            await executor.rereading.close()

    def _made_runs(self) -> None:
        if self._claims:
            self._claims.wake()
        self._on_runs()

    def _made_inferences(self) -> None:
        if self._inferrer:
            self._inferrer.wake_at_once()
        else:
            self._on_runs()

    def _new_inferrer(self, worker_id: int, clock: ServerClock, claims: Claims) -> Inferrer | None:
        if self._models is None:
            return None
        return Inferrer(
            worker_id,
            self._models,
            self._connect,
            capacity=self._inferences,
            now=clock.now,
            on_runs=self._made_runs,
            on_broken=claims.fail,
        )

    async def _register(self) -> int:
        """A lease first, then the functions."""
        async with await self._connect() as conn:
            worker_id = await workers.register(
                conn, host=socket.gethostname(), pid=os.getpid(), functions=self._roster.own(), lease=self._lease
            )
            await self._roster.register(conn)
            return worker_id

    def _heartbeat(self, worker_id: int, clock: ServerClock, lost: asyncio.Event) -> Heartbeat:
        loop = asyncio.get_running_loop()
        return Heartbeat(self._url, worker_id, self._lease, clock, lambda: _from_thread(loop, lost))

    async def _until_stopped(self, claims: Claims, lost: asyncio.Event) -> bool:
        """Claim until stopped (True) or until the lease is lost (False)."""
        claiming = asyncio.create_task(self._claim(claims))
        losing = asyncio.create_task(lost.wait())
        await asyncio.wait({claiming, losing}, return_when=asyncio.FIRST_COMPLETED)
        losing.cancel()
        if claiming.done():
            await claiming
            return True
        claiming.cancel()
        with suppress(asyncio.CancelledError):
            await claiming
        return False

    async def _claim(self, claims: Claims) -> None:
        await self._let_go.wait()
        if self._inferrer and not self._stopping:
            self._inferrer.start()
        await claims.claim_forever()

    async def _leave(self, worker_id: int) -> None:
        async with await self._connect() as conn:
            await workers.leave(conn, [worker_id])


def _from_thread(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed: the worker has ended already
        loop.call_soon_threadsafe(event.set)
