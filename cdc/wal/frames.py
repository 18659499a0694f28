"""The frames inside COPY BOTH: XLogData and keepalive come in, standby status updates go out.

Postgres docs, Frontend/Backend Protocol: Streaming Replication Protocol. All integers are big-endian;
times are microseconds since the Unix epoch here and since 2000-01-01 on the wire.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

from cdc.errors import ProtocolError
from cdc.lsn import Lsn

EPOCH = 946_684_800_000_000
"""2000-01-01 00:00:00 UTC, where Postgres starts to count, in microseconds since the Unix epoch."""

_XLOG_DATA, _KEEPALIVE = b"wk"
_XLOG_DATA_HEAD = Struct(">xQQq")
_XLOG_DATA_SIZE = _XLOG_DATA_HEAD.size
_KEEPALIVE_BODY = Struct(">xQqB")
_STATUS = Struct(">cQQQqB")


class XLogData(NamedTuple):
    """One message of the output plugin.

    `start` and `wal_end` are both 0 for messages without a place of their own (Relation, Type), and neither is
    ordered: rows of concurrent transactions go backwards.
    """

    start: Lsn
    wal_end: Lsn
    sent_at: int
    payload: bytes


class Keepalive(NamedTuple):
    """The server has sent everything that was committed before `wal_end`."""

    wal_end: Lsn
    sent_at: int
    reply_requested: bool


Frame = XLogData | Keepalive


def parse(frame: bytes | memoryview) -> Frame:
    """Read one CopyData frame; the payload is copied out, so that the frame's buffer may go.

    Raises:
        ProtocolError: the frame is truncated, too long or of an unknown kind.
    """
    kind = frame[0] if frame else None
    if kind == _XLOG_DATA and len(frame) >= _XLOG_DATA_SIZE:
        start, wal_end, sent_at = _XLOG_DATA_HEAD.unpack_from(frame)
        return XLogData(start, wal_end, sent_at + EPOCH, bytes(frame[_XLOG_DATA_SIZE:]))
    if kind == _KEEPALIVE and len(frame) == _KEEPALIVE_BODY.size:
        wal_end, sent_at, reply = _KEEPALIVE_BODY.unpack(frame)
        return Keepalive(wal_end, sent_at + EPOCH, reply != 0)
    raise ProtocolError(f"a replication frame of {len(frame)} bytes starts with {bytes(frame[:1])!r}")


def status(received: Lsn, confirmed: Lsn, now: int, *, ask: bool = False) -> bytes:
    """A standby status update: written up to `received`, flushed and applied up to `confirmed`.

    A `confirmed` of 0 promises nothing: the server then leaves the slot's confirmed_flush_lsn alone. Any other
    value is believed, however wrong it is. `now` is in microseconds since the Unix epoch. `ask` asks for an answer.
    """
    return _STATUS.pack(b"r", received, confirmed, confirmed, now - EPOCH, ask)
