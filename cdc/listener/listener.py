"""The loop from WAL to accepted events: read what is there, accept it in one transaction, only then confirm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from cdc import lsn
from cdc.events.accept import Door
from cdc.listener.source import Watched
from cdc.listener.translate import Translator
from cdc.lsn import Lsn
from cdc.store.checkpoints import Checkpoint
from cdc.store.events import Incoming
from cdc.wal.stream import ReplicationStream
from cdc.wal.transactions import Change, Committed, Item, Message, Transactions

log = structlog.get_logger(__name__)

PREFIX = "cdc"
"""Of the logical messages by which cdc.embed and cdc.unembed tell of themselves."""

SEND = "cdc.send"
"""Of those that are events of the user's own."""

READ = 2000
"""Messages read at once, so that a huge transaction does not starve the event loop."""

LINGER = 0.01
"""Seconds to wait for more when as much was read as is read at once: there may be nothing more for a long time."""

MOST = 10_000
"""Events in one accept."""

MOST_BYTES = 16 * 1024 * 1024
"""Event data in one accept."""

IDLE_BYTES = 1024 * 1024
"""Of WAL without published changes, after which the checkpoint moves on, so that the slot does not retain it."""

IDLE_SECONDS = 60.0
"""After which it moves on in any case: some hosts drop a slot that stands still."""


class Listener:
    """Streams one source from its checkpoint through the door.

    `follow` is called, before anything later is accepted, whenever declarations or functions may have changed.
    `received` is how far the server's WAL is known, `accepted` counts events.
    """

    def __init__(
        self,
        watched: Watched,
        checkpoint: Checkpoint,
        door: Door,
        *,
        follow: Callable[[], Awaitable[None]],
        on_runs: Callable[[], None],
        on_listening: Callable[[], None] = lambda: None,
        answers_within: float = 60.0,
    ) -> None:
        self._watched = watched
        self._door = door
        self._follow = follow
        self._on_runs = on_runs
        self._on_listening = on_listening
        self._answers_within = answers_within
        self._translator = Translator(checkpoint.source_id, watched.name)
        self._events: list[Incoming] = []
        self._bytes = 0
        self._resume_after(checkpoint)
        self._moved_at = 0.0
        self._stopping = False
        self._receiving: asyncio.Task[Any] | None = None
        self.received: Lsn = checkpoint.end_lsn
        self.accepted = 0

    @property
    def checkpoint(self) -> Checkpoint:
        """What is durably accepted."""
        return self._checkpoint

    def stop(self) -> None:
        """Stop reading; `run` returns as soon as an accept under way has ended."""
        self._stopping = True
        if self._receiving is not None:
            self._receiving.cancel()

    async def run(self, until: Lsn | None = None) -> None:
        """Stream until `stop`, or until everything before `until` is accepted and confirmed.

        Raises:
            StreamLost: the connection ended; attach again and make a new listener.
            ListenerFenced: another listener moved the checkpoint.
        """
        self._moved_at = asyncio.get_running_loop().time()
        async with await ReplicationStream.open(
            self._watched.url,
            slot=self._watched.slot,
            publications=[self._watched.publication],
            start=self._checkpoint.end_lsn,
            answers_within=self._answers_within,
        ) as stream:
            # Only with the slot in hand: to wait for it must not stop the listener that has it.
            self._resume_after(await self._door.take_over(self._checkpoint))
            log.info("listening", source=self._watched.name, lsn=lsn.render(self._checkpoint.end_lsn))
            self._on_listening()
            while not self._stopping:
                payloads = await self._receive(stream)
                self.received = stream.received
                await self._take(self._transactions.feed(payloads))
                if len(payloads) < READ or self._is_full:
                    await self._accept()
                if not payloads:
                    await self._pass_idle_wal(at_once=stream.asked or (until is not None and self.received >= until))
                stream.confirm(min(self._checkpoint.end_lsn, stream.received))
                if until is not None and self._checkpoint.end_lsn >= until:
                    break

    def _resume_after(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._transactions = Transactions(checkpoint.position)
        self._position = checkpoint.position
        self._end_lsn = checkpoint.end_lsn

    async def _receive(self, stream: ReplicationStream) -> list[bytes]:
        """What is at hand, or comes; nothing when events wait to be accepted, or when `stop` is called meanwhile."""
        self._receiving = asyncio.current_task()
        try:
            async with asyncio.timeout(LINGER if self._events else None):
                return await stream.receive(READ)
        except TimeoutError:
            return []
        except asyncio.CancelledError:
            if self._receiving is None or not self._stopping:
                raise
            self._receiving.uncancel()
            return []
        finally:
            self._receiving = None

    async def _take(self, items: list[Item]) -> None:
        for item in items:
            if isinstance(item, Change):
                self._add(self._translator.event(item))
                self._position = item.position
                if self._is_full:
                    await self._accept()
            elif isinstance(item, Committed):
                self._end_lsn = max(self._end_lsn, item.end_lsn)
            else:
                await self._obey(item)

    async def _obey(self, message: Message) -> None:
        if message.prefix == PREFIX:
            await self._accept()
            await self._follow()
        elif message.prefix == SEND:
            try:
                self._add(self._translator.sent(message))
            except (ValueError, RecursionError) as error:
                log.warning("message passed over", prefix=SEND, position=str(message.position), reason=str(error))
        if message.header is not None:
            self._position = message.position

    def _add(self, event: Incoming) -> None:
        self._events.append(event)
        self._bytes += len(event.data)

    @property
    def _is_full(self) -> bool:
        return len(self._events) >= MOST or self._bytes >= MOST_BYTES

    async def _accept(self) -> None:
        """Everything taken so far becomes durable. Nothing is read meanwhile: the socket is the back-pressure."""
        reached = self._checkpoint.moved(self._position, self._end_lsn)
        if reached == self._checkpoint:
            return
        version = self._door.registry.version
        accepted = await self._door.accept(self._events, self._checkpoint, reached)
        self._checkpoint = accepted.checkpoint
        self.accepted += accepted.events
        self._events, self._bytes = [], 0
        self._moved_at = asyncio.get_running_loop().time()
        if accepted.due:
            self._on_runs()
        if self._door.registry.version != version:
            await self._follow()

    async def _pass_idle_wal(self, *, at_once: bool) -> None:
        """WAL that holds nothing for us is passed by moving the checkpoint, not by confirming beyond it.

        `at_once` when the server asks: it may be shutting down, which it does not finish before we confirmed all.
        """
        ahead = self.received - self._checkpoint.end_lsn
        idle_for = asyncio.get_running_loop().time() - self._moved_at
        is_time = at_once or ahead >= IDLE_BYTES or idle_for >= IDLE_SECONDS
        if not self._transactions.in_flight and ahead > 0 and is_time:
            self._end_lsn = self.received
            await self._accept()
