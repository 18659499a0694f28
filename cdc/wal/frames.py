"""The frames inside COPY BOTH: XLogData and keepalive come in, standby status updates go out.

Postgres docs, Frontend/Backend Protocol: Streaming Replication Protocol. All integers are big-endian;
times are microseconds since the Unix epoch here and since 2000-01-01 on the wire.
"""

from __future__ import annotations

from struct import Struct

from cdc.errors import ProtocolError
from cdc.lsn import Lsn

EPOCH = 946_684_800_000_000
"""2000-01-01 00:00:00 UTC, where Postgres starts to count, in microseconds since the Unix epoch."""

_XLOG_DATA, _KEEPALIVE = b"wk"
_XLOG_DATA_HEAD = Struct(">9xQ8x").unpack_from
_XLOG_DATA_SIZE = 25
_KEEPALIVE_BODY = Struct(">xQqB")
_STATUS = Struct(">cQQQqB")


def parse(frame: bytes | memoryview) -> tuple[Lsn, bytes | None, bool]:
    """Read one CopyData frame: the server's WAL end, a message of the output plugin, whether an answer is wanted.

    A keepalive carries no message: the server has sent everything that was committed before its WAL end. That of a
    message may be 0 (Relation, Type), and is not ordered: rows of concurrent transactions go backwards. The message is
    copied out, so that the frame's buffer may go. (A plain tuple: this is called for every row.)

    Raises:
        ProtocolError: the frame is truncated, too long or of an unknown kind.
    """
    kind = frame[0] if frame else None
    if kind == _XLOG_DATA and len(frame) >= _XLOG_DATA_SIZE:
        return _XLOG_DATA_HEAD(frame)[0], bytes(frame[_XLOG_DATA_SIZE:]), False
    if kind == _KEEPALIVE and len(frame) == _KEEPALIVE_BODY.size:
        wal_end, _, reply = _KEEPALIVE_BODY.unpack(frame)
        return wal_end, None, reply != 0
    raise ProtocolError(f"a replication frame of {len(frame)} bytes starts with {bytes(frame[:1])!r}")


def status(received: Lsn, confirmed: Lsn, now: int, *, ask: bool = False) -> bytes:
    """A standby status update: written up to `received`, flushed and applied up to `confirmed`.

    A `confirmed` of 0 promises nothing: the server then leaves the slot's confirmed_flush_lsn alone. Any other
    value is believed, however wrong it is. `now` is in microseconds since the Unix epoch. `ask` asks for an answer.
    """
    return _STATUS.pack(b"r", received, confirmed, confirmed, now - EPOCH, ask)
