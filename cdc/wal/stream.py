"""The replication stream: the one place that waits for the server.

Postgres docs, Frontend/Backend Protocol: Logical Streaming Replication Protocol. psycopg starts COPY BOTH; from then on
libpq is driven directly, never blocking: its blocking read holds the GIL.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import psycopg

from cdc.errors import CdcError, CheckpointMismatch, ProtocolError, StreamLost
from cdc.lsn import Lsn, render
from cdc.wal import frames
from cdc.wal.connection import Connection, answering, ask, connect, identifier, literal
from cdc.wal.refusals import command_refused, publication_missing, stream_ended
from cdc.wal.slot import identity_of

_BATCH_BYTES = 16 << 20
"""`receive` stops collecting beyond this, so that rows of many megabytes do not add up."""

_CLOSE_WITHIN = 2.0
"""Seconds to end COPY in; in the middle of a large transaction the server does not listen."""

_CLOSED = "The replication stream was closed."
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class ReplicationStream:
    """pgoutput messages of one slot, and the confirmation of what has become durable here.

    `received` is the server's WAL end as of the last frame that `receive` has taken: when nothing is in flight, all
    that was committed before it has been received.

    `asked` says that the last keepalive wanted an answer: the server has not heard of us for long, or it is shutting
    down and waits for us to confirm everything.

    Status updates leave on a timer, whether `receive` is being awaited or not: a consumer that takes its time is never
    cut off by wal_sender_timeout, as long as it does not block the event loop.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        publications: Sequence[str],
        start: Lsn,
        status_interval: float,
        answers_within: float,
    ) -> None:
        """Takes over a connection in COPY BOTH; use `open`."""
        self._publications = publications
        self.received = start
        self.asked = False
        self._confirmed = start
        self._connection = connection
        self._pgconn = connection.pgconn
        self._pgconn.nonblocking = 1
        self._socket = self._pgconn.socket
        self._loop = asyncio.get_running_loop()
        self._readable = asyncio.Event()
        self._nudged = False
        self._reading = self._writing = False
        self._status_owed = False
        self._unwritable: CdcError | None = None
        self._end: CdcError | None = None
        self._answers_within = answers_within
        self._heard_at = self._loop.time()
        self._asked_at: float | None = None
        self._status_interval = status_interval
        self._timer = self._loop.call_later(status_interval, self._on_timer)
        connection.add_notice_handler(self._on_notice)

    @classmethod
    async def open(
        cls,
        conninfo: str,
        *,
        slot: str,
        publications: Sequence[str],
        start: Lsn,
        status_interval: float = 5.0,
        answers_within: float = 60.0,
    ) -> Self:
        """Start streaming from the later of `start` and the slot's confirmed_flush_lsn.

        `status_interval` is in seconds; a third of the server's wal_sender_timeout is used where that is less. A server
        that is silent for half of `answers_within` is asked for a word, and has the other half to say it.

        Raises:
            SlotInUse: another connection reads from the slot.
            CheckpointMismatch: the slot is gone or invalidated, or `start` is ahead of the server, which would then
                skip everything up to it without a word.
            ServerNotReady: the server is not set up for logical replication.
            ConfigurationError, DatabaseUnreachable, DatabaseRefused, StreamLost: the connection failed.
        """
        connection = await connect(conninfo)
        try:
            wal_lsn = (await identity_of(connection)).wal_lsn
            if start > wal_lsn:
                raise CheckpointMismatch(
                    f"The checkpoint {render(start)} is ahead of the server, which is at {render(wal_lsn)}.",
                    hint="The server was restored or is another one: make a new slot and backfill.",
                )
            with answering(connection):
                (timeout,) = await ask(connection, b"SHOW wal_sender_timeout")
                await connection.execute(_start_replication(slot, publications, start))
        except psycopg.Error as error:
            refusal = command_refused(error, slot=slot, user=connection.info.user)
            await connection.close()
            raise refusal from error
        except BaseException:
            await connection.close()
            raise
        return cls(
            connection,
            publications=publications,
            start=start,
            status_interval=min(status_interval, _seconds(timeout) / 3, answers_within / 4),
            answers_within=answers_within,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def receive(self, limit: int = 500) -> list[bytes]:
        """The payloads at hand, at most `limit`; waits for one, or for a keepalive or `nudge` (there may be none then).

        May be cancelled: nothing that was received is lost then.

        Raises:
            StreamLost: the connection ended, or the stream was closed.
            ServerNotReady: the publication did not exist at this point of the WAL.
            ProtocolError: a frame is malformed.
        """
        await asyncio.sleep(0)  # a socket that never runs dry would keep the status timer waiting
        while True:
            self._readable.clear()
            payloads, heard = self._drain(limit)
            if payloads or heard or self._nudged:
                self._nudged = False
                return payloads
            if reason := self._end or self._unwritable:
                self._finish(reason)
                raise reason
            await self._until_readable()

    def nudge(self) -> None:
        """Let `receive` return, now or when it is called next, even if there is nothing."""
        self._nudged = True
        self._readable.set()

    def confirm(self, lsn: Lsn) -> None:
        """What was committed before `lsn` is durable here; tells the server at once, without waiting.

        For a transaction this is its Committed.end_lsn. An LSN at or before an earlier one changes nothing.

        Raises:
            ValueError: `lsn` was never received. The server would believe it and drop the WAL up to there.
        """
        if lsn > self.received:
            raise ValueError(f"{render(lsn)} is confirmed, but only {render(self.received)} was received")
        if lsn > self._confirmed:
            self._confirmed = lsn
            self._send_status()

    async def close(self) -> None:
        """Confirm once more, end COPY and disconnect; takes two seconds at most and never fails.

        After a clean end the slot is free for the next reader.
        """
        try:
            if self._end is None:
                with suppress(CdcError, psycopg.Error, TimeoutError):
                    async with asyncio.timeout(_CLOSE_WITHIN):
                        await self._end_copy()
        finally:
            self._finish(StreamLost(_CLOSED))
            await self._connection.close()

    def _drain(self, limit: int) -> tuple[list[bytes], bool]:
        """The payloads at hand, and whether the server said anything.

        The socket is asked once more when libpq's buffer is empty: one read takes 16 kB, or one TLS record, and waiting
        for the next costs far more than trying.
        """
        take, parse = self._pgconn.get_copy_data, frames.parse
        payloads: list[bytes] = []
        room = _BATCH_BYTES
        heard = reply_requested = tried = False
        try:
            while len(payloads) < limit and room > 0:
                size, data = take(1)
                if self._end is not None:
                    break  # by a notice that came before this frame
                if size > 0:
                    heard, tried = True, False
                    room -= size
                    wal_end, payload, asked = parse(data)
                    if wal_end > self.received:
                        self.received = wal_end
                    if payload is not None:
                        payloads.append(payload)
                    reply_requested |= asked
                elif size < 0:
                    self._finish(self._copy_ended())
                    break
                elif tried:
                    break
                else:
                    self._pgconn.consume_input()
                    tried = True
        except (psycopg.Error, ProtocolError) as error:
            self._finish(error if isinstance(error, CdcError) else stream_ended(error))
        self.asked = reply_requested
        if reply_requested:
            self._send_status()
        return payloads, heard

    def _copy_ended(self) -> CdcError:
        """Why the server left COPY: its error is the next result. libpq would block for one that is not here yet."""
        if not self._pgconn.is_busy() and (result := self._pgconn.get_result()) and result.error_message:
            return stream_ended(psycopg.errors.error_from_result(result))
        return self._unwritable or StreamLost("The server ended the replication stream.")

    def _on_notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        # Postgres 18 warns and skips the rows where earlier versions fail. Whatever comes after is not to be taken.
        said = diagnostic.message_primary or ""
        if diagnostic.sqlstate == "55000" and any(name in said for name in self._publications):
            self._finish(publication_missing(said))

    async def _until_readable(self) -> None:
        if not self._reading and not self._readable.is_set():
            self._loop.add_reader(self._socket, self._on_readable)
            self._reading = True
        await self._readable.wait()

    def _on_readable(self) -> None:
        if self._readable.is_set():
            # Nobody has read since the last time. A socket that stays readable would keep the event loop spinning.
            self._loop.remove_reader(self._socket)
            self._reading = False
        self._readable.set()
        self._hear()

    def _hear(self) -> None:
        self._heard_at, self._asked_at = self._loop.time(), None

    def _on_timer(self) -> None:
        now, patience = self._loop.time(), self._answers_within / 2
        if not self._reading or self._readable.is_set():
            self._hear()  # something may be there that nobody has read yet
        elif self._asked_at is None and now - self._heard_at > patience:
            self._asked_at = now
        elif self._asked_at is not None and now - self._asked_at > patience:
            self._finish(StreamLost(f"The server has not answered for {self._answers_within:g} seconds."))
            return
        self._send_status()
        self._timer = self._loop.call_later(self._status_interval, self._on_timer)

    def _send_status(self) -> None:
        if self._end is not None or self._unwritable is not None:
            return
        if self._writing:
            self._status_owed = True  # one with newer figures will go when the socket takes bytes again
            return
        asks = self._asked_at is not None
        status = frames.status(self.received, self._confirmed, time.time_ns() // 1000, ask=asks)
        try:
            self._status_owed = self._pgconn.put_copy_data(status) == 0
        except psycopg.Error as error:
            self._cannot_write(error)
        else:
            self._flush()

    def _flush(self) -> None:
        try:
            unsent = self._pgconn.flush()
        except psycopg.Error as error:
            self._cannot_write(error)
            return
        if unsent or self._status_owed:
            # libpq may have read while it could not write, so that the socket will not report those bytes any more.
            self._readable.set()
        if unsent and not self._writing:
            self._loop.add_writer(self._socket, self._flush)
            self._writing = True
        elif self._writing and not unsent:
            self._loop.remove_writer(self._socket)
            self._writing = False
            if self._status_owed:
                self._send_status()

    def _cannot_write(self, error: psycopg.Error) -> None:
        # What the server said last may still be in the read buffer, and says more: `receive` looks there first.
        self._unwritable = stream_ended(error)
        self._let_go()

    async def _end_copy(self) -> None:
        self._send_status()
        self._pgconn.put_copy_end()
        self._unwritable = StreamLost(_CLOSED)
        self._flush()
        while self._end is None:  # what was under way comes first
            self._readable.clear()
            _, heard = self._drain(500)
            if not heard:
                await self._until_readable()
            await asyncio.sleep(0)
        while self._pgconn.is_busy():  # the server frees the slot before it says that the command is complete
            self._readable.clear()
            await self._until_readable()
            self._pgconn.consume_input()

    def _finish(self, reason: CdcError) -> None:
        """Remember why the stream ended."""
        if self._end is None:
            self._end = reason
        self._timer.cancel()
        self._let_go()

    def _let_go(self) -> None:
        """Watch the socket no more: libpq may close it at any time, and its number may be given to another."""
        if self._reading:
            self._loop.remove_reader(self._socket)
        if self._writing:
            self._loop.remove_writer(self._socket)
        self._reading = self._writing = False
        self._readable.set()


def _start_replication(slot: str, publications: Sequence[str], start: Lsn) -> bytes:
    names = literal(",".join(identifier(name) for name in publications))
    return (
        f"START_REPLICATION SLOT {identifier(slot)} LOGICAL {render(start)} "
        f"(proto_version '1', publication_names {names}, messages 'true')"
    ).encode()


def _seconds(setting: str) -> float:
    """A duration as SHOW writes it, `1min`; `0` is no limit."""
    found = re.fullmatch(r"(\d+)(ms|s|min|h|d)", setting)
    return int(found[1]) * _SECONDS[found[2]] if found else math.inf
