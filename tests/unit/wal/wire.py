"""Writes pgoutput messages, independently of the code that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from cdc.wal.relations import Column, Relation

POSTGRES_EPOCH_SECONDS = 946_684_800
RECORDED = Path(__file__).parent / "recorded"


class Sent(Enum):
    """What a column may be besides a text."""

    NULL = "n"
    UNCHANGED = "u"


Cell = str | bytes | Sent
NULL, UNCHANGED = Sent.NULL, Sent.UNCHANGED


def integer(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big", signed=value < 0)


def string(text: str) -> bytes:
    return text.encode() + b"\0"


def tuple_data(cells: Sequence[Cell]) -> bytes:
    data = integer(len(cells), 2)
    for cell in cells:
        if isinstance(cell, Sent):
            data += cell.value.encode()
        else:
            raw = cell.encode() if isinstance(cell, str) else cell
            data += b"t" + integer(len(raw), 4) + raw
    return data


def begin(final_lsn: int, xid: int = 7, unix_seconds: int = POSTGRES_EPOCH_SECONDS) -> bytes:
    microseconds = (unix_seconds - POSTGRES_EPOCH_SECONDS) * 1_000_000
    return b"B" + integer(final_lsn, 8) + integer(microseconds, 8) + integer(xid, 4)


def commit(commit_lsn: int, end_lsn: int | None = None) -> bytes:
    return b"C\0" + integer(commit_lsn, 8) + integer(end_lsn or commit_lsn + 8, 8) + integer(0, 8)


def origin(commit_lsn: int, name: str) -> bytes:
    return b"O" + integer(commit_lsn, 8) + string(name)


def type_(oid: int, schema: str, name: str) -> bytes:
    return b"Y" + integer(oid, 4) + string(schema) + string(name)


def relation(table: Relation) -> bytes:
    data = b"R" + integer(table.oid, 4) + string(table.schema) + string(table.name)
    data += table.replica_identity.encode() + integer(len(table.columns), 2)
    for column in table.columns:
        data += bytes([column.key]) + string(column.name)
        data += integer(column.type_oid, 4) + integer(column.type_modifier, 4)
    return data


def insert(oid: int, new: Sequence[Cell]) -> bytes:
    return b"I" + integer(oid, 4) + b"N" + tuple_data(new)


def update(
    oid: int, new: Sequence[Cell], *, key: Sequence[Cell] | None = None, old: Sequence[Cell] | None = None
) -> bytes:
    before = b""
    if key is not None:
        before = b"K" + tuple_data(key)
    if old is not None:
        before = b"O" + tuple_data(old)
    return b"U" + integer(oid, 4) + before + b"N" + tuple_data(new)


def delete(oid: int, *, key: Sequence[Cell] | None = None, old: Sequence[Cell] | None = None) -> bytes:
    before = b"K" + tuple_data(key) if key is not None else b"O" + tuple_data(old or ())
    return b"D" + integer(oid, 4) + before


def truncate(oids: Sequence[int], *, cascade: bool = False, restart_identity: bool = False) -> bytes:
    options = cascade | restart_identity << 1
    return b"T" + integer(len(oids), 4) + bytes([options]) + b"".join(integer(oid, 4) for oid in oids)


def message(prefix: str, content: bytes, *, lsn: int = 1, transactional: bool = True) -> bytes:
    return b"M" + bytes([transactional]) + integer(lsn, 8) + string(prefix) + integer(len(content), 4) + content


def table(name: str = "users", /, *, oid: int = 16384, identity: str = "d", **types: int) -> Relation:
    """A relation in schema public; its first column is the key, or all are under identity "f"."""
    names = enumerate(types.items())
    columns = tuple(Column(column, type_oid, -1, i == 0 or identity == "f") for i, (column, type_oid) in names)
    return Relation(oid, "public", name, identity, columns)


def recorded(version: str) -> list[bytes]:
    """The messages that a server of this version sent for recorded/scenario.sql."""
    return [bytes.fromhex(line) for line in (RECORDED / f"{version}.hex").read_text().splitlines()]
