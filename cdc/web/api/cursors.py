"""Where a page of a list goes on, as a text that means nothing to whoever gives it back."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

from fastapi import HTTPException

from cdc.store.listing import EventKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_EVENT = struct.Struct(">q16s")
_CALL = struct.Struct(">q")


def after_event(key: EventKey) -> str:
    """The cursor of what comes after this event."""
    return _written(_EVENT.pack((key.accepted_at - _EPOCH) // timedelta(microseconds=1), UUID(key.id).bytes))


def event(cursor: str | None) -> EventKey | None:
    """What it was made of.

    Raises:
        HTTPException: no list of events gave it.
    """
    if cursor is None:
        return None
    try:
        microseconds, id_ = _EVENT.unpack(_read(cursor))
    except (ValueError, struct.error):
        raise _unknown() from None
    return EventKey(_EPOCH + timedelta(microseconds=max(0, min(microseconds, _LATEST))), str(UUID(bytes=id_)))


def after_run(run_id: str) -> str:
    """The cursor of what comes after this run."""
    return _written(UUID(run_id).bytes)


def run(cursor: str | None) -> str | None:
    """What it was made of.

    Raises:
        HTTPException: no list of runs gave it.
    """
    if cursor is None:
        return None
    try:
        return str(UUID(bytes=_read(cursor)))
    except ValueError:
        raise _unknown() from None


def after_call(number: int) -> str:
    """The cursor of what comes after this call."""
    return _written(_CALL.pack(number))


def call(cursor: str | None) -> int | None:
    """What it was made of.

    Raises:
        HTTPException: no list of calls gave it.
    """
    if cursor is None:
        return None
    try:
        (number,) = _CALL.unpack(_read(cursor))
    except (ValueError, struct.error):
        raise _unknown() from None
    return int(number)


def _written(key: bytes) -> str:
    return urlsafe_b64encode(key).rstrip(b"=").decode()


def _read(cursor: str) -> bytes:
    return urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))


def _unknown() -> HTTPException:
    return HTTPException(400, "cursor is not one that this list gave: give back its `next` as it is, or none.")
