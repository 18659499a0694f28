"""Decodes pgoutput messages, protocol version 1, text values.

Postgres docs, Frontend/Backend Protocol: Logical Replication Message Formats. Streamed and two-phase transactions
belong to later protocol versions and are never asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from struct import Struct
from typing import NoReturn

from cdc.errors import ProtocolError
from cdc.wal.frames import EPOCH
from cdc.wal.messages import (
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Origin,
    PgMessage,
    Truncate,
    Type,
    Update,
)
from cdc.wal.relations import Column, Relation
from cdc.wal.rows import Row, RowDecoder, compile_row
from cdc.wal.types import FIRST_OID, NO_TYPES, Types

_INSERT, _UPDATE, _DELETE, _RELATION, _TRUNCATE = b"IUDRT"
_NEW, _KEY, _OLD = b"NKO"

_YEAR_10000 = 253_402_300_800_000_000 - EPOCH
_BEGIN = Struct(">xQqI")
_COMMIT = Struct(">xBQQq")
_OID = Struct(">I")
_oid = _OID.unpack_from
_ORIGIN = Struct(">xQ")
_COLUMN_COUNT = Struct(">cH")
_COLUMN_TYPE = Struct(">Ii")
_TRUNCATED = Struct(">xIB")
_MESSAGE = Struct(">xBQ")


class _Tables(dict[int, tuple[Relation, RowDecoder]]):
    def __missing__(self, oid: int) -> NoReturn:
        raise ProtocolError(f"a message speaks of relation {oid}, which was not announced on this connection")


class Decoder:
    """Decodes the messages of one connection, in order; it remembers the relations they announce."""

    def __init__(self, types: Types = NO_TYPES) -> None:
        self._types = types
        self._tables = _Tables()
        self._readers: dict[int, Callable[[bytes], PgMessage]] = {
            **_STATELESS,
            _INSERT: self._insert,
            _UPDATE: self._update,
            _DELETE: self._delete,
            _RELATION: self._relation,
            _TRUNCATE: self._truncate,
        }

    @property
    def types(self) -> Types:
        """By which rows are decoded."""
        return self._types

    def learn(self, types: Types) -> None:
        """From now on, decode by these."""
        self._types = types
        for oid, (relation, _) in self._tables.items():
            self._tables[oid] = relation, self._row_decoder(relation)

    def decode(self, payload: bytes) -> PgMessage:
        """Read one message.

        Raises:
            ProtocolError: the message is malformed, truncated, of an unknown kind, or about a relation that was not
                announced.
            TypesWanted: of open types only. `learn` these, and decode the message again. Nothing else is ever raised.
        """
        try:
            return self._readers[payload[0]](payload)
        except (LookupError, ValueError, struct.error) as error:
            raise ProtocolError(
                f"a message of {len(payload)} bytes that starts {payload[:5]!r} is malformed"
            ) from error

    def _insert(self, payload: bytes) -> Insert:
        relation, decode_row = self._tables[_oid(payload, 1)[0]]
        if payload[5] != _NEW:
            raise ValueError("an insert without a new row")
        new, unchanged, end = decode_row(payload, 6)
        if end != len(payload):
            _expect_end(payload, end)
        return tuple.__new__(Insert, (relation, new, unchanged))  # in half the time of Insert(...)

    def _update(self, payload: bytes) -> Update:
        relation, decode_row = self._tables[_OID.unpack_from(payload, 1)[0]]
        old, at = None, 5
        if payload[at] != _NEW:
            old, at = _old_row(payload, relation, decode_row)
        if payload[at] != _NEW:
            raise ValueError("an update without a new row")
        new, unchanged, end = decode_row(payload, at + 1)
        _expect_end(payload, end)
        if old and unchanged:
            new, unchanged = _filled(new, unchanged, old, relation)
        return Update(relation, new, old, unchanged)

    def _delete(self, payload: bytes) -> Delete:
        relation, decode_row = self._tables[_OID.unpack_from(payload, 1)[0]]
        old, end = _old_row(payload, relation, decode_row)
        _expect_end(payload, end)
        return Delete(relation, old)

    def _truncate(self, payload: bytes) -> Truncate:
        count, options = _TRUNCATED.unpack_from(payload)
        _expect_end(payload, _TRUNCATED.size + 4 * count)
        relations = tuple(self._tables[oid][0] for (oid,) in _OID.iter_unpack(payload[_TRUNCATED.size :]))
        return Truncate(relations, cascade=options & 1 != 0, restart_identity=options & 2 != 0)

    def _relation(self, payload: bytes) -> Relation:
        relation = _read_relation(payload)
        self._types.demand(column.type_oid for column in relation.columns)
        self._tables[relation.oid] = relation, self._row_decoder(relation)
        return relation

    def _row_decoder(self, relation: Relation) -> RowDecoder:
        # Tables of built-in types alone keep their decoder when types are learned.
        own = any(column.type_oid >= FIRST_OID for column in relation.columns)
        return compile_row(relation.columns, self._types if own else NO_TYPES)


def _old_row(payload: bytes, relation: Relation, decode_row: RowDecoder) -> tuple[Row, int]:
    """The old row at byte 5 and where it ends. In a key tuple the NULLs outside the key mean "not sent"."""
    kind = payload[5]
    row, _, end = decode_row(payload, 6)
    if kind == _KEY:
        return {name: row[name] for name in relation.key_columns}, end
    if kind == _OLD:
        return row, end
    raise ValueError("an old row that is neither key nor full")


def _filled(new: Row, unchanged: tuple[str, ...], old: Row, relation: Relation) -> tuple[Row, tuple[str, ...]]:
    """The new row, in column order, with the unchanged values that the old row holds, and the names still missing."""
    known = old | new
    missing = tuple(name for name in unchanged if name not in old)
    names = (column.name for column in relation.columns if column.name not in missing)
    return {name: known[name] for name in names}, missing


def _begin(payload: bytes) -> Begin:
    final_lsn, commit_time, xid = _BEGIN.unpack(payload)
    if not -EPOCH <= commit_time < _YEAR_10000:
        raise ValueError("a commit of no year that has a date")
    return Begin(final_lsn, commit_time + EPOCH, xid)


def _commit(payload: bytes) -> Commit:
    _, commit_lsn, end_lsn, commit_time = _COMMIT.unpack(payload)
    return Commit(commit_lsn, end_lsn, commit_time + EPOCH)


def _origin(payload: bytes) -> Origin:
    (commit_lsn,) = _ORIGIN.unpack_from(payload)
    name, end = _string(payload, _ORIGIN.size)
    _expect_end(payload, end)
    return Origin(commit_lsn, name)


def _type(payload: bytes) -> Type:
    (oid,) = _OID.unpack_from(payload, 1)
    schema, at = _string(payload, 5)
    name, end = _string(payload, at)
    _expect_end(payload, end)
    return Type(oid, schema or "pg_catalog", name)


def _message(payload: bytes) -> LogicalMessage:
    flags, lsn = _MESSAGE.unpack_from(payload)
    prefix, at = _string(payload, _MESSAGE.size)
    (size,) = _OID.unpack_from(payload, at)
    _expect_end(payload, at + 4 + size)
    return LogicalMessage(flags & 1 != 0, lsn, prefix, payload[at + 4 :])


def _read_relation(payload: bytes) -> Relation:
    (oid,) = _OID.unpack_from(payload, 1)
    schema, at = _string(payload, 5)
    name, at = _string(payload, at)
    identity, count = _COLUMN_COUNT.unpack_from(payload, at)
    at += _COLUMN_COUNT.size
    columns: list[Column] = []
    for _ in range(count):
        key = payload[at] & 1 != 0
        column_name, at = _string(payload, at + 1)
        type_oid, modifier = _COLUMN_TYPE.unpack_from(payload, at)
        at += _COLUMN_TYPE.size
        columns.append(Column(column_name, type_oid, modifier, key))
    _expect_end(payload, at)
    return Relation(oid, schema or "pg_catalog", name, identity.decode("ascii"), tuple(columns))


def _string(payload: bytes, at: int) -> tuple[str, int]:
    """The zero-terminated text at `at` and where the next field starts."""
    end = payload.index(0, at)
    return payload[at:end].decode("utf-8", "backslashreplace"), end + 1


def _expect_end(payload: bytes, end: int) -> None:
    if end != len(payload):
        raise ValueError(f"the message ends at byte {end} of {len(payload)}")


_STATELESS: dict[int, Callable[[bytes], PgMessage]] = {
    ord("B"): _begin,
    ord("C"): _commit,
    ord("O"): _origin,
    ord("Y"): _type,
    ord("M"): _message,
}
