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
_COMMON = struct.pack(">hi", 5, 16)
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


def events(source: int | None, events: Iterable[tuple[bytes, str, int, bytes]]) -> bytes:
    """A whole COPY of (id, name, ts in microseconds since 1970, data) into cdc_state.events."""
    pieces = [HEADER]
    source_field = integer_field(source)
    names: dict[str, bytes] = {}
    for id_, name, ts, data in events:
        field = names.get(name)
        if field is None:
            field = names[name] = source_field + text_field(name)
        pieces += (_COMMON, id_, field, _time(8, ts - _POSTGRES_EPOCH, len(data)), data)
    pieces.append(TRAILER)
    return b"".join(pieces)


def sent_event(source: int | None, event: tuple[bytes, str, int, bytes], given: Iterable[str | None]) -> bytes:
    """A row of cdc_state.events with the four columns that its sender may have given."""
    id_, name, ts, data = event
    optional = (NULL if value is None else text_field(value) for value in given)
    head = _event(9, 16, id_), integer_field(source), text_field(name), _time(8, ts - _POSTGRES_EPOCH, len(data))
    return b"".join((*head, data, *optional))


def run_row(id: bytes, function_id: bytes, event_ids: list[bytes]) -> bytes:
    """A row of cdc_state.runs; `function_id` is a field already."""
    items = len(event_ids)
    array = _array(20 + 20 * items, 1, 0, _UUID_OID, items, 1)
    return b"".join((_run(3, 16, id), function_id, array, *(b"\0\0\0\x10" + event_id for event_id in event_ids)))


def copied(rows: Iterable[bytes]) -> bytes:
    """A whole COPY of these rows."""
    return b"".join((HEADER, *rows, TRAILER))
