"""Which rows an event speaks of, with keys and names of all sorts."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.authoring.context import Counts, Database
from cdc.embedding.declared import Declared
from cdc.errors import RetryAfter
from cdc.store import vectors
from tests.functions.embedding import Embedder, Followed, change, follow, prepared
from tests.servers import Connection


async def test_events_of_all_verbs(docs: Followed) -> None:
    await docs.execute("insert into docs values (1, 'a', null), (2, 'b', null)")
    assert await docs.follow(change("inserted", {"id": 1}), change("inserted", {"id": 2})) == Counts(embedded=2)
    await docs.execute("update docs set title = 'c' where id = 2")
    assert await docs.follow(change("updated", {"id": 2}), change("updated", {"id": 2})) == Counts(embedded=1)
    await docs.execute("delete from docs where id = 2")
    await docs.follow(change("deleted", None, {"id": 2}))
    await docs.check()


async def test_a_changed_key_concerns_two_rows(docs: Followed) -> None:
    await docs.execute("insert into docs values (1, 'a', null)")
    await docs.reconcile(1)
    await docs.execute("update docs set id = 2" if not docs.declaration.fk else "delete from docs")
    await docs.follow(change("updated", {"id": 2}, {"id": 1}))
    await docs.check()


async def test_truncate(docs: Followed) -> None:
    await docs.execute("insert into docs select n, 'text ' || n, null from generate_series(1, 30) n")
    await docs.reconcile(*range(1, 31))
    await docs.execute("truncate docs cascade; insert into docs values (7, 'text 7', null), (8, 'other', null)")
    await docs.follow(change("truncated", None))
    assert (await docs.vectors()).keys() <= {7, 8}
    await docs.reconcile(7, 8)
    await docs.check()


async def test_a_target_that_is_not_ready_is_waited_for(conn: Connection, db: Database) -> None:
    await conn.execute("create table docs (id bigint primary key, title text)")
    await conn.execute("select cdc.embed('docs', array['title'])")
    (target,) = await Declared(db, Embedder()).targets(("public", "docs"))
    with pytest.raises(RetryAfter, match="still being made"):
        await target.follow(db, Embedder(), [change("inserted", {"id": 1})])


async def test_a_forgotten_declaration_ends_the_work(docs: Followed) -> None:
    async def forget() -> None:
        await docs.execute("select cdc.unembed('docs')")

    await docs.execute("insert into docs values (1, 'a', null), (2, 'b', null)")
    await docs.reconcile(2)
    docs.embedder.meanwhile = forget
    await docs.execute("update docs set title = 'c'")
    await docs.reconcile(1, 2)
    assert await docs.reconcile(1, 2) == Counts()


HOW = ["", ", target => 'Vec'", ", chunk_tokens => 400"]


@pytest.mark.parametrize("how", HOW)
async def test_mixed_case_reserved_and_composite(conn: Connection, db: Database, how: str) -> None:
    table = '"My Schema"."Order ""Lines"""'
    await conn.execute('create schema "My Schema"')
    await conn.execute(
        f'create table {table} ("Order" uuid, hash text, "at" timestamptz, n numeric(6, 2), "text" text, '
        'primary key ("at", "Order", n) include (hash))'.encode()
    )
    await conn.execute(f"select cdc.embed('{table}', array['text', 'n']{how})".encode())
    await prepared(conn)
    embedder = Embedder()
    (of,) = await Declared(db, embedder).targets(("My Schema", 'Order "Lines"'))
    row = {"at": "2024-02-29T12:00:00.5+00:00", "Order": "6f1c2a4e-9d0b-4a3c-8f5e-0123456789ab", "n": "7.50"}
    insert = f"insert into {table} values (%(Order)s, 'h', %(at)s, %(n)s, 'Hello')"
    await conn.execute(insert.encode(), row)
    assert await of.follow(db, embedder, [change("inserted", row)]) == Counts(embedded=1)
    assert embedder.asked == ["Hello\n\n7.50"]
    assert await of.follow(db, embedder, [change("inserted", row)]) == Counts(unchanged=1)
    await conn.execute(f"update {table} set n = 8".encode())
    moved = change("updated", {**row, "n": "8.00", "text": "Hello"}, row)
    assert (await of.follow(db, embedder, [moved])).embedded == 1
    await conn.execute(f"truncate {table}".encode())
    await of.follow(db, embedder, [change("truncated", None)])
    async with db.connection() as used:
        assert await vectors.orphans(used, of.layout, 10) == []


@pytest.mark.parametrize(
    ("type_", "value", "sent"),
    [
        ("bigint", "9223372036854775807", 9223372036854775807),
        ("boolean", "true", True),
        ("float8", "0.1", 0.1),
        ("text", "'it''s'", "it's"),
        ("text", "''", ""),
        ("date", "'2024-02-29'", "2024-02-29"),
        ("timestamp", "'2024-02-29 12:00'", "2024-02-29T12:00:00"),
        ("timestamptz", "'infinity'", "infinity"),
        ("inet", "'10.0.0.1'", "10.0.0.1"),
        ("text[]", "'{a,\"b c\"}'", '{a,"b c"}'),
        ("char(4)", "'ab'", "ab  "),
    ],
)
@pytest.mark.parametrize("how", HOW)
async def test_keys_of_many_types(conn: Connection, db: Database, type_: str, value: str, sent: Any, how: str) -> None:
    await conn.execute(f"create table docs (id {type_} primary key, title text)".encode())
    await conn.execute(f"select cdc.embed('docs', array['title']{how})".encode())
    await prepared(conn)
    embedder = Embedder()
    (target,) = await Declared(db, embedder).targets(("public", "docs"))
    await conn.execute(f"insert into docs values ({value}, 'a')".encode())
    assert await target.follow(db, embedder, [change("inserted", {"id": sent})]) == Counts(embedded=1)
    assert await target.follow(db, embedder, [change("inserted", {"id": sent})]) == Counts(unchanged=1)
    await conn.execute("delete from docs")
    await target.follow(db, embedder, [change("deleted", None, {"id": sent})])
    async with db.connection() as used:
        assert await vectors.orphans(used, target.layout, 10) == []


async def test_pgvector_in_a_schema_that_is_not_searched(conn: Connection, db: Database) -> None:
    await conn.execute("create schema extensions")
    await conn.execute("create extension vector schema extensions")
    for kind in ("table", "column", "chunks"):
        docs = await follow(conn, db, kind)
        await docs.execute("insert into docs values (1, 'a', null)")
        assert await docs.reconcile(1) == Counts(embedded=1)
        await docs.execute("drop table docs; delete from cdc.embeddings")


@pytest.mark.parametrize("how", [*HOW, ", fk => true", ", fk => true, chunk_tokens => 400"])
async def test_a_partitioned_table(conn: Connection, db: Database, how: str) -> None:
    await conn.execute(
        "create table docs (id bigint, part int, title text, primary key (id, part)) partition by list (part)"
    )
    await conn.execute("create table docs_1 partition of docs for values in (1)")
    await conn.execute("create table docs_2 partition of docs for values in (2)")
    await conn.execute(f"select cdc.embed('docs', array['title']{how})".encode())
    await prepared(conn)
    embedder = Embedder()
    (target,) = await Declared(db, embedder).targets(("public", "docs"))
    await conn.execute("insert into docs values (1, 1, 'a'), (2, 2, 'b')")
    rows = [{"id": 1, "part": 1}, {"id": 2, "part": 2}]
    inserted = [change("inserted", row) for row in rows]
    assert await target.follow(db, embedder, inserted) == Counts(embedded=2)
    assert await target.follow(db, embedder, inserted) == Counts(unchanged=2)
    await conn.execute("delete from docs where id = 1; update docs set title = null")
    await target.follow(db, embedder, [change("deleted", None, rows[0]), change("updated", rows[1])])
    async with db.connection() as used:
        assert await vectors.orphans(used, target.layout, 10) == []
    assert await target.follow(db, embedder, inserted) == Counts(unchanged=2)
