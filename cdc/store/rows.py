"""Rows in Postgres's binary COPY format (Postgres docs, COPY, "Binary Format")."""

from __future__ import annotations

import struct
from collections.abc import Iterable

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)

_UUID_OID = 2950
_POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01 in microseconds since 1970."""

_event = struct.Struct(">hi16s").pack
_time = struct.Struct(">iqi").pack
_int = struct.Struct(">i").pack
_run = struct.Struct(">hi16s").pack
_array = struct.Struct(">iiiIii").pack
NULL = _int(-1)


def text_field(value: str) -> bytes:
    """One text field."""
    encoded = value.encode()
    return _int(len(encoded)) + encoded


def integer_field(value: int | None) -> bytes:
    """One int4 field."""
    return NULL if value is None else struct.pack(">ii", 4, value)


def event_row(id: bytes, source: bytes, name: bytes, ts: int, data: bytes, optional: bytes = b"") -> bytes:
    """A row of cdc_state.events; `source`, `name` and the three `optional` ones are fields already.

    `ts` is microseconds since 1970.
    """
    fields = 8 if optional else 5
    return b"".join((_event(fields, 16, id), source, name, _time(8, ts - _POSTGRES_EPOCH, len(data)), data, optional))


def run_row(id: bytes, function_id: bytes, event_ids: list[bytes]) -> bytes:
    """A row of cdc_state.runs; `function_id` is a field already."""
    items = len(event_ids)
    array = _array(20 + 20 * items, 1, 0, _UUID_OID, items, 1)
    return b"".join((_run(3, 16, id), function_id, array, *(b"\0\0\0\x10" + event_id for event_id in event_ids)))


def copied(rows: Iterable[bytes]) -> bytes:
    """A whole COPY of these rows."""
    return b"".join((HEADER, *rows, TRAILER))
