"""The service: builds every part, starts in order, stops in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from cdc import discovery
from cdc.config import Settings
from cdc.embedding.gather import Embedder
from cdc.errors import CdcError
from cdc.events.accept import Door
from cdc.listener.listener import Listener
from cdc.listener.source import Watched, attach
from cdc.maintenance import upkeep
from cdc.maintenance.loop import Loop
from cdc.service.children import Children
from cdc.service.following import Following
from cdc.service.models import embedder
from cdc.service.preflight import connected
from cdc.service.process import prepare
from cdc.store import publications, workers
from cdc.store.connect import Connection, connect, pool
from cdc.store.failures import ConnectionTrouble
from cdc.store.migrate import migrate
from cdc.web.app import app
from cdc.web.server import Web
from cdc.web.status import Status

log = structlog.get_logger(__name__)

SOURCE = "default"
"""Name of the one source that this version watches."""

_LONGEST_PAUSE = 10.0
_FOLLOW_EVERY = 2.0
_SELDOM = 8


async def run(settings: Settings, url: str, *, started: Callable[[str], None] = lambda address: None) -> None:
    """Run the service on `url` until cancelled; `started` gets the API's address once it listens.

    Raises:
        CdcError: it cannot start, or cannot go on.
    """
    prepare()
    discovery.search_path(settings.functions)
    async with AsyncExitStack() as stack:
        service = _Service(settings, url, embedder(settings))
        stack.push_async_callback(service.models.close)
        conn = await connected(url, patience=settings.connect_timeout)
        async with conn:
            await migrate(url, "source")
            await migrate(url, "state")
            # Before the slot: a publication younger than its slot is not found, or its rows are silently skipped.
            await publications.ensure(conn, settings.publication)
        children = Children(
            settings.workers,
            {"DATABASE_URL": url},
            grace=settings.shutdown_timeout,
            on_death=service.release,
        )
        service.children = children
        stack.push_async_callback(children.stop)
        await children.start()
        await service.following.declare()
        state = pool(url, size=2, name="web")
        await stack.enter_async_context(state)
        web = Web(app(service.status, state.connection), settings.port)
        web.start()
        stack.push_async_callback(web.stop)
        parts = [service.start_loop(loop, stack) for loop in service.loops()]
        parts.append(asyncio.create_task(service.listen_forever(lambda: started(web.url)), name="listener"))
        stack.push_async_callback(service.stop_listening, parts[-1])
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in parts:
            if part.done():
                part.result()


class _Service:
    """What the parts share."""

    def __init__(self, settings: Settings, url: str, models: Embedder) -> None:
        self._settings = settings
        self._url = url
        self._watched = Watched(url, SOURCE, settings.slot, settings.publication)
        self._door: Door | None = None
        self._listener: Listener | None = None
        self._retries = 0
        self.children: Children | None = None
        self.models = models
        self.status = Status(SOURCE, settings.slot, settings.publication)
        self.following = Following(settings, url, models, self.status)

    async def connect(self) -> Connection:
        """A connection for one of the parts."""
        return await connect(self._url, autocommit=True)

    def wake(self) -> None:
        """Runs are due."""
        if self.children:
            self.children.wake()

    async def release(self, worker_id: int) -> None:
        """A worker process is gone: its runs go to others at once, not when the lease runs out."""
        try:
            async with await self.connect() as conn:
                released = await workers.leave(conn, [worker_id], died=True)
        except (*ConnectionTrouble, CdcError) as error:
            log.warning("runs of the dead worker wait for its lease to run out", reason=str(error).strip())
        else:
            log.info("runs released", worker=worker_id, runs=released)

    def loops(self) -> list[Loop]:
        """The maintenance loops."""
        return [
            *upkeep.loops(
                self.connect,
                lease=self._settings.lease,
                retention=self._settings.retention,
                on_runs=self.wake,
            ),
            Loop("follower", _FOLLOW_EVERY, self._retry_following),
            Loop("status", 1.0, self._look),
        ]

    def start_loop(self, loop: Loop, stack: AsyncExitStack) -> asyncio.Task[None]:
        """Start a loop that stops with the stack."""
        stack.push_async_callback(loop.stop)
        return loop.start()

    async def listen_forever(self, started: Callable[[], None]) -> None:
        """Listen, and connect again whenever the stream is lost."""
        pause = 0.1
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._listen(started)
            except CdcError as error:
                if not error.transient:
                    raise
                reason = str(error)
            except ConnectionTrouble as error:
                reason = str(error).strip()
            else:
                return
            if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE:
                pause = 0.1
            log.warning("listener connects again", reason=reason, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def stop_listening(self, listening: asyncio.Task[None], within: float = 5.0) -> None:
        """Let the listener end after what it is accepting; cancel it when that takes longer than `within` seconds."""
        if self._listener is not None and self.status.listening:
            self._listener.stop()
            await asyncio.wait({listening}, timeout=within)
        listening.cancel()
        await asyncio.wait({listening})

    async def _listen(self, started: Callable[[], None]) -> None:
        async with await self.connect() as state:
            self._door = door = Door(state)
            await self.following.follow(door)
            async with await self.connect() as source:
                checkpoint = await attach(self._watched, state, source)
            self.wake()
            self._listener = Listener(
                self._watched,
                checkpoint,
                door,
                follow=lambda: self.following.follow(door),
                on_runs=self.wake,
                on_listening=lambda: self._listening(started),
            )
            try:
                await self._listener.run()
            finally:
                self.status.listening = False

    def _listening(self, started: Callable[[], None]) -> None:
        self.status.listening = True
        started()

    async def _retry_following(self) -> None:
        """Soon after something went wrong, seldom otherwise."""
        self._retries += 1
        is_time = self.following.troubled or self._retries % _SELDOM == 0
        if self._door is not None and self.status.listening and is_time:
            await self.following.retry(self._door)

    async def _look(self) -> None:
        if self._listener is not None:
            self.status.received = self._listener.received
            self.status.confirmed = self._listener.checkpoint.end_lsn
