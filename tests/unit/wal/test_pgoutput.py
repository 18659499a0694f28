from __future__ import annotations

import random

import pytest

from cdc.errors import ProtocolError
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
from cdc.wal.pgoutput import Decoder
from cdc.wal.relations import Column, Relation
from tests.servers import EVERY_VERSION
from tests.unit.wal import wire
from tests.unit.wal.wire import NULL, POSTGRES_EPOCH_SECONDS, UNCHANGED, recorded

USERS = wire.table(id=20, email=25, bio=25)
FULL = wire.table("logs", oid=16400, identity="f", id=20, email=25, bio=25)
OID = USERS.oid


def decoder() -> Decoder:
    decoder = Decoder()
    for table in (USERS, FULL):
        decoder.decode(wire.relation(table))
    return decoder


def decode(payload: bytes) -> PgMessage:
    return decoder().decode(payload)


def test_begin_and_commit_carry_their_lsns_and_unix_times() -> None:
    begin = wire.begin(0x16B3748, xid=731, unix_seconds=1_727_146_545)
    assert decode(begin) == Begin(0x16B3748, 1_727_146_545_000_000, 731)
    assert decode(wire.commit(0x16B3748, 0x16B3778)) == Commit(0x16B3748, 0x16B3778, POSTGRES_EPOCH_SECONDS * 10**6)


def test_a_relation_tells_identity_columns_and_key() -> None:
    columns = (Column("id", 20, -1, key=True), Column("näme", 1043, 68, key=False))
    table = Relation(4_000_000_000, "app", "users", "i", columns)
    assert decode(wire.relation(table)) == table
    assert table.key_columns == ("id",)
    assert FULL.key_columns == ("id", "email", "bio")


def test_an_empty_schema_is_pg_catalog() -> None:
    assert decode(wire.relation(Relation(1, "", "pg_x", "d", ()))) == Relation(1, "pg_catalog", "pg_x", "d", ())
    assert decode(wire.type_(1, "", "box")) == Type(1, "pg_catalog", "box")


def test_types_and_origins_are_read() -> None:
    assert decode(wire.type_(16500, "public", "mood")) == Type(16500, "public", "mood")
    assert decode(wire.origin(9, "elsewhere")) == Origin(9, "elsewhere")


def test_an_insert_has_the_new_row() -> None:
    row = {"id": 1, "email": "a@b.c", "bio": None}
    assert decode(wire.insert(OID, ["1", "a@b.c", NULL])) == Insert(USERS, row, ())


def test_an_ordinary_update_under_default_identity_has_no_old_row() -> None:
    row = {"id": 1, "email": "a@b.c", "bio": None}
    assert decode(wire.update(OID, ["1", "a@b.c", NULL])) == Update(USERS, row, None, ())


def test_an_unchanged_toast_value_is_named_and_absent_and_never_null() -> None:
    assert decode(wire.update(OID, ["1", NULL, UNCHANGED])) == Update(USERS, {"id": 1, "email": None}, None, ("bio",))


def test_a_key_tuple_gives_the_key_columns_only() -> None:
    change = decode(wire.update(OID, ["2", NULL, NULL], key=["1", NULL, NULL]))
    assert change == Update(USERS, {"id": 2, "email": None, "bio": None}, {"id": 1}, ())
    assert decode(wire.delete(OID, key=["1", NULL, NULL])) == Delete(USERS, {"id": 1})


def test_a_full_old_row_fills_what_was_not_sent_in_column_order() -> None:
    change = decode(wire.update(FULL.oid, ["1", UNCHANGED, "new"], old=["1", "a@b.c", NULL]))
    assert change == Update(
        FULL, {"id": 1, "email": "a@b.c", "bio": "new"}, {"id": 1, "email": "a@b.c", "bio": None}, ()
    )
    assert isinstance(change, Update)
    assert list(change.new) == ["id", "email", "bio"]


def test_a_full_old_row_fills_an_unsent_null_with_null() -> None:
    change = decode(wire.update(FULL.oid, ["1", "x", UNCHANGED], old=["1", "y", NULL]))
    assert isinstance(change, Update)
    assert change.new == {"id": 1, "email": "x", "bio": None}
    assert change.unchanged == ()


def test_a_key_tuple_fills_nothing_outside_the_key() -> None:
    change = decode(wire.update(OID, ["2", "x", UNCHANGED], key=["1", NULL, NULL]))
    assert change == Update(USERS, {"id": 2, "email": "x"}, {"id": 1}, ("bio",))


def test_a_delete_under_full_identity_has_the_full_row() -> None:
    assert decode(wire.delete(FULL.oid, old=["1", "x", NULL])) == Delete(FULL, {"id": 1, "email": "x", "bio": None})


@pytest.mark.parametrize(("cascade", "restart"), [(False, False), (True, False), (False, True), (True, True)])
def test_a_truncate_lists_its_relations_and_options(cascade: bool, restart: bool) -> None:
    payload = wire.truncate([FULL.oid, OID], cascade=cascade, restart_identity=restart)
    assert decode(payload) == Truncate((FULL, USERS), cascade, restart)


@pytest.mark.parametrize("transactional", [True, False])
def test_a_logical_message_keeps_its_bytes(transactional: bool) -> None:
    payload = wire.message("cdc", b"\0\xff{}", lsn=77, transactional=transactional)
    assert decode(payload) == LogicalMessage(transactional, 77, "cdc", b"\0\xff{}")


def test_a_new_relation_message_changes_how_rows_are_read() -> None:
    stream = decoder()
    table = wire.table(id=20, age=23)
    stream.decode(wire.relation(table))
    assert stream.decode(wire.insert(OID, ["1", "2"])) == Insert(table, {"id": 1, "age": 2}, ())


WELL_FORMED = [
    wire.begin(1),
    wire.commit(1),
    wire.origin(1, "o"),
    wire.relation(USERS),
    wire.type_(1, "public", "t"),
    wire.insert(OID, ["1", "x", NULL]),
    wire.update(OID, ["1", "x", UNCHANGED], key=["1", NULL, NULL]),
    wire.update(FULL.oid, ["1", "x", UNCHANGED], old=["1", NULL, "z"]),
    wire.delete(OID, key=["1", NULL, NULL]),
    wire.truncate([OID, FULL.oid]),
    wire.message("p", b"content"),
]


@pytest.mark.parametrize("payload", WELL_FORMED, ids=lambda payload: chr(payload[0]))
def test_a_message_that_is_cut_short_or_too_long_is_a_protocol_error(payload: bytes) -> None:
    decode(payload)
    for size in range(len(payload)):
        with pytest.raises(ProtocolError):
            decode(payload[:size])
    with pytest.raises(ProtocolError):
        decode(payload + b"\0")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"?",
        b"S" + bytes(5),
        wire.insert(1, ["1"]),
        wire.insert(OID, ["1", "x"]),
        wire.insert(OID, ["x", "x", "x"]),
        wire.insert(OID, ["1", "x", "y"]).replace(b"N", b"X", 1),
        wire.update(OID, ["1", "x", "y"]).replace(b"N", b"X", 1),
        wire.delete(OID, key=["1", NULL, NULL]).replace(b"K", b"N", 1),
        wire.delete(OID, key=[UNCHANGED, NULL, NULL]),
        wire.truncate([1]),
        b"T\xff\xff\xff\xff\0" + bytes(8),
        b"R" + bytes(4) + b"s\0t\0d\xff\xff" + bytes(20),
        b"M\1" + bytes(8) + b"p\0\xff\xff\xff\xff",
    ],
)
def test_anything_malformed_is_a_protocol_error(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(payload)


@pytest.mark.parametrize("version", EVERY_VERSION)
def test_every_message_of_a_real_server_is_read(version: str) -> None:
    stream = Decoder()
    kinds = [type(stream.decode(payload)) for payload in recorded(version)]
    assert set(kinds) == {Begin, Commit, Origin, Relation, Type, Insert, Update, Delete, Truncate, LogicalMessage}


@pytest.mark.parametrize("version", EVERY_VERSION)
def test_mutated_messages_raise_protocol_errors_and_nothing_else(version: str) -> None:
    noise = random.Random(version)
    messages = [payload[:300] for payload in recorded(version)] + WELL_FORMED
    refused = 0
    for _ in range(500):
        stream = decoder()
        for payload in messages:
            try:
                stream.decode(mutated(payload, noise))
            except ProtocolError:
                refused += 1
    assert refused > 10_000


def mutated(payload: bytes, noise: random.Random) -> bytes:
    data = bytearray(payload)
    for _ in range(noise.randint(0, 3)):
        at = noise.randrange(len(data) + 1)
        match noise.randrange(5):
            case 0:
                del data[at:]
            case 1:
                data[at : at + 1] = noise.randbytes(1)
            case 2:
                data[at:at] = noise.randbytes(noise.randint(1, 4))
            case 3:
                data[at : at + 4] = noise.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4)])
            case _:
                data[at : at + noise.randint(1, 8)] = b""
    return bytes(data)
