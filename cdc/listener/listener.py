"""The loop from WAL to accepted events: read what is there, accept it in one transaction, only then confirm."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from cdc import lsn, telemetry
from cdc.authoring.triggers import message_name
from cdc.events.accept import Accepted, Door
from cdc.listener.accepting import Accepting
from cdc.listener.catalog import Catalog
from cdc.listener.merging import PREFIX as BACKFILL
from cdc.listener.merging import Merging
from cdc.listener.source import Watched
from cdc.listener.standbys import Standbys
from cdc.listener.translate import Translator
from cdc.lsn import Lsn
from cdc.store.checkpoints import Checkpoint
from cdc.wal.stream import ReplicationStream
from cdc.wal.transactions import Change, Committed, Item, Message, Transactions

log = structlog.get_logger(__name__)

PREFIX = "cdc"
"""Of the logical messages by which cdc.embed and cdc.unembed tell of themselves."""

SEND = "cdc.send"
"""Of those that are events of the user's own."""

RETRY = "cdc.retry"
"""Of those that name a row whose text was put aside and is to be tried again."""

READ = 300
"""Messages read at once, so that neither a huge transaction nor what is being accepted starves the event loop."""

BREATH = 0.02
"""Seconds between reads of what comes during an accept: to ask the socket for every row costs a third of the work."""

IDLE_BYTES = 1024 * 1024
"""Of WAL without published changes, after which the checkpoint moves on, so that the slot does not retain it."""

IDLE_SECONDS = 60.0
"""After which it moves on in any case: some hosts drop a slot that stands still."""


class Listener:
    """Streams one source from its checkpoint through the door.

    `follow` is called, before anything later is accepted, whenever declarations or functions may have changed.
    `received` is how far the server's WAL is known, `accepted` counts events. `written` tells how far that of the state
    is, where it shares a failover with the watched database.
    """

    def __init__(
        self,
        watched: Watched,
        checkpoint: Checkpoint,
        door: Door,
        catalog: Catalog,
        *,
        follow: Callable[[], Awaitable[None]],
        on_runs: Callable[[], None],
        on_listening: Callable[[], None] = lambda: None,
        answers_within: float = 60.0,
        written: Callable[[], Awaitable[Lsn]] | None = None,
        merging: Merging | None = None,
        on_events: Callable[[], None] = lambda: None,
    ) -> None:
        self._watched = watched
        self._door = door
        self._catalog = catalog
        self._follow = follow
        self._on_runs = on_runs
        self._on_events = on_events
        self._on_listening = on_listening
        self._answers_within = answers_within
        self._standbys = Standbys(written)
        self._merging = merging or Merging()
        self._translator = Translator(checkpoint.source_id, watched.name)
        self._resume_after(checkpoint)
        self._moved_at = 0.0
        self._stopping = False
        self._until: float = math.inf
        self._looked = False
        self._receiving: asyncio.Task[Any] | None = None
        self._stream: ReplicationStream | None = None
        self.received: Lsn = checkpoint.end_lsn
        self.accepted = 0

    @property
    def checkpoint(self) -> Checkpoint:
        """What is durably accepted."""
        return self._accepting.checkpoint

    def read_until(self, lsn: Lsn) -> None:
        """Have `run` return once everything before is accepted and confirmed."""
        self._until = lsn
        if self._stream is not None:
            self._stream.nudge()

    def stop(self) -> None:
        """Stop reading; `run` returns as soon as an accept under way has ended."""
        self._stopping = True
        if self._receiving is not None:
            self._receiving.cancel()

    async def run(self) -> None:
        """Stream until `stop`, or as far as `read_until` says.

        Raises:
            StreamLost: the connection ended; attach again and make a new listener.
            ListenerFenced: another listener moved the checkpoint.
        """
        telemetry.about.set(self._told)
        self._moved_at = asyncio.get_running_loop().time()
        async with await ReplicationStream.open(
            self._watched.url,
            slot=self._watched.slot,
            publications=[self._watched.publication],
            start=self.checkpoint.end_lsn,
            answers_within=self._answers_within,
        ) as stream:
            # Only with the slot in hand: to wait for it must not stop the listener that has it.
            self._resume_after(await self._door.take_over(self.checkpoint))
            await self._catalog.read_published(self._watched.publication)
            log.info("listening")
            self._stream = stream
            self._on_listening()
            try:
                while not self._stopping and self.checkpoint.end_lsn < self._until:
                    await self._turn(stream)
            except asyncio.CancelledError:
                self._accepting.cancel()
                raise
            finally:
                await self._accepting.end()
                self._stream = None
            stream.confirm(self._standbys.confirmable(self.checkpoint.end_lsn, stream.received))

    @property
    def is_idle(self) -> bool:
        """Whether every change that was received is accepted."""
        return self._accepting.is_empty and not self._transactions.in_flight

    def _told(self) -> dict[str, object]:
        return {"source": self._watched.name, "lsn": lsn.render(self.checkpoint.end_lsn)}

    async def _turn(self, stream: ReplicationStream) -> None:
        """Take what is at hand, and have it accepted while the next is read; confirm what has become durable."""
        payloads = await self._receive(stream)
        self.received = stream.received
        await self._take(await self._catalog.feed(self._transactions, payloads))
        self._accepting.start()
        if len(payloads) < READ:
            await self._accepting.pause(BREATH)
        self._pass_idle_wal(at_once=stream.asked or self.received >= self._until)
        stream.confirm(self._standbys.confirmable(self.checkpoint.end_lsn, stream.received))

    def _resume_after(self, checkpoint: Checkpoint) -> None:
        self._transactions = Transactions(checkpoint.position, self._catalog.types)
        self._accepting = Accepting(
            self._door, checkpoint, self._watched.name, on_accepted=self._accepted, on_end=self._come_round
        )

    async def _receive(self, stream: ReplicationStream) -> list[bytes]:
        """What is at hand, or comes; nothing when an accept has ended, or when `stop` is called meanwhile."""
        self._receiving = asyncio.current_task()
        try:
            return await stream.receive(READ)
        except asyncio.CancelledError:
            if self._receiving is None or not self._stopping:
                raise
            self._receiving.uncancel()
            return []
        finally:
            self._receiving = None

    async def _take(self, items: list[Item]) -> None:
        if self._merging.is_active:
            self._merging.look(items)
        self._translator.narrow(self._door.registry.narrowed)
        self._looked = False
        accepting, translate = self._accepting, self._translator.event
        for item in items:
            if isinstance(item, Change):
                accepting.add(translate(item))
                accepting.passed(item.position)
                if accepting.is_full:
                    await accepting.hand_over()
            elif isinstance(item, Committed):
                # Postgres 14 tells of transactions without published changes too, such as our own accepts: to move
                # the checkpoint for those would be another one, for ever.
                if item.commit_lsn == accepting.position.commit_lsn:
                    accepting.ended(item.end_lsn)
            else:
                await self._obey(item)

    async def _obey(self, message: Message) -> None:
        if message.prefix == PREFIX:
            await self._accepting.settle()
            await self._follow()
        elif message.prefix == BACKFILL:
            await self._merge(message)
            return
        elif message.prefix in (SEND, RETRY):
            read = self._translator.sent if message.prefix == SEND else self._translator.retried
            try:
                self._accepting.add(read(message))
            except (ValueError, RecursionError) as error:
                prefix, position = message.prefix, str(message.position)
                log.warning("message passed over", prefix=prefix, position=position, reason=str(error))
        elif await self._is_listened_to(message):
            self._accepting.add(self._translator.message(message))
            if message.header is None:
                # It stands alone, in the order of the WAL: what comes after it is later than this byte of it.
                self._accepting.ended(message.position.commit_lsn + 1)
        if message.header is not None:
            self._accepting.passed(message.position)

    async def _is_listened_to(self, message: Message) -> bool:
        """Whether it is an event: a function asks for it, and it was not accepted before."""
        name = message_name(message.prefix)
        if name is None or (message.header is None and message.position.commit_lsn < self._accepting.end_lsn):
            return False
        if not self._looked and not self._door.registry.started_by(name):
            # Once for all messages at hand: whatever was registered before they were sent is there by now.
            self._looked = True
            if await self._door.is_outdated():
                await self._follow()
        return bool(self._door.registry.started_by(name))

    async def _merge(self, message: Message) -> None:
        """The chunk whose mark this is becomes durable, and with it how far its backfill is."""
        accepting, offer = self._accepting, self._merging.take(message)
        if offer is not None:
            await accepting.settle()
        accepting.passed(message.position)
        if offer is not None:
            for change in offer.changes(message):
                event = self._translator.event(change)
                accepting.add(event._replace(data=b'%b,"backfill":%d}' % (event.data[:-1], offer.backfill.id)))
                accepting.passed(change.position)
            await accepting.settle(offer.also())
            offer.tell()

    async def _accepted(self, accepted: Accepted) -> None:
        self.accepted += accepted.events
        await self._standbys.accepted(accepted.checkpoint.end_lsn)
        self._moved_at = asyncio.get_running_loop().time()
        if accepted.events:
            self._on_events()
        if accepted.due:
            self._on_runs()
        if accepted.registry_moved:
            await self._follow()

    def _come_round(self) -> None:
        """Let the loop confirm what was accepted, see how it ended, and begin the next."""
        if self._stream is not None:
            self._stream.nudge()

    def _pass_idle_wal(self, *, at_once: bool) -> None:
        """WAL that holds nothing for us is passed by moving the checkpoint, not by confirming beyond it.

        `at_once` when the server asks: it may be shutting down, which it does not finish before we confirmed all.
        """
        ahead = self.received - self.checkpoint.end_lsn
        idle_for = asyncio.get_running_loop().time() - self._moved_at
        is_time = at_once or ahead >= IDLE_BYTES or idle_for >= IDLE_SECONDS
        if self.is_idle and ahead > 0 and is_time:
            self._accepting.ended(self.received)
            self._accepting.start()
