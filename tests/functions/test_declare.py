"""Declaring embeddings, and making what they need: or saying what is in the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg import errors

from cdc.ai.errors import ProviderRejected
from cdc.embedding import prepare as preparing
from cdc.embedding.declare import Request, declare, parse
from cdc.embedding.declared import Declared
from cdc.embedding.prepare import prepare
from cdc.errors import ConfigurationError, DatabaseRefused
from cdc.store.connect import pool
from cdc.store.embeddings import Declaration
from tests.functions.embedding import DIMENSIONS, MODEL, Embedder, Model, dimensions, prepared
from tests.servers import Connect, Connection

TABLES = """
create table docs (id bigint primary key, title text, body text);
create table "Notes" ("Id" uuid, part varchar(20) collate "C", "Body" text, primary key (part, "Id"));
"""


@pytest.fixture
async def conn(conn: Connection) -> Connection:
    await conn.execute(TABLES)
    return conn


async def prepare_all(conn: Connection, **replaced: Any) -> list[Declaration]:
    return await prepare(conn, **{"default": Model, "dimensions": dimensions, "tries": 2, **replaced})


async def problem(conn: Connection, **replaced: Any) -> str:
    """What is wrong with the only declaration; the same is returned and stored."""
    (declaration,) = await prepare_all(conn, **replaced)
    stored = await (await conn.execute("select problem from cdc.embeddings")).fetchall()
    assert stored == [(declaration.problem,)]
    assert declaration.problem is not None
    return declaration.problem


async def columns(conn: Connection, table: str) -> dict[str, str]:
    query = (
        "select attname, format_type(atttypid, atttypmod) || case when attnotnull then ' not null' else '' end "
        "from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
    )
    rows: list[tuple[str, str]] = await (await conn.execute(query, [table])).fetchall()
    return dict(rows)


@asynccontextmanager
async def role(conn: Connection, rights: str) -> AsyncIterator[None]:
    """Become a role with the rights of the service on schema cdc, and those given."""
    await conn.execute(
        "do $$ begin if to_regrole('modest') is null then create role modest; end if; end $$;"
        "grant usage on schema cdc to modest; grant all on all tables in schema cdc to modest;" + rights
    )
    await conn.execute("set role modest")
    try:
        yield
    finally:
        await conn.execute("reset role")


# --- declare ------------------------------------------------------------------------------------------------------


async def test_declaring_is_idempotent(any_migrated_url: str, connect: Connect) -> None:
    conn = await connect(any_migrated_url)
    await conn.execute(TABLES)
    requests = parse(
        """docs(title, body)->embedding; docs(title); public."Notes"("Body");
        docs->docs_of with (expression = 'upper(body)', filter = 'id > 0', index = none, fk = true);
        docs with (template = '{title}: {body}', chunk_tokens = 9, metric = l2, dimensions = 3)"""
    )
    first = [await declare(conn, request) for request in requests]
    assert [await declare(conn, request) for request in requests] == first
    found = await conn.execute(
        "select table_name, columns, target_kind, target_table, target_column from cdc.embeddings order by id"
    )
    assert await found.fetchall() == [
        ("docs", ["title", "body"], "column", "docs", "embedding"),
        ("docs", ["title"], "table", "docs_embeddings", "embedding"),
        ("Notes", ["Body"], "table", "Notes_embeddings", "embedding"),
        ("docs", ["body"], "table", "docs_of", "embedding"),
        ("docs", ["title", "body"], "chunks", "docs_chunks", "embedding"),
    ]


@pytest.mark.parametrize(
    ("request_", "sentence", "hint"),
    [
        (Request("nothing", ("a",)), 'Relation "nothing" does not exist.', "schema.table"),
        (Request("docs", ("titel",)), "cdc.embed: table docs has no column titel.", "spelling"),
        (Request("docs", ("title",), "title"), "cdc.embed: title cannot be source and target at once.", "another"),
        (Request("docs", ("title",), "public.docs"), "cdc.embed: docs cannot be source and target at once.", "column"),
        (Request("docs", ("title",), "nowhere.vec"), "cdc.embed: there is no schema nowhere.", "Create it"),
        (Request("docs", ("title",), "a.b.c"), "cdc.embed: a.b.c is not the name of a table.", "schema.table"),
        (Request("docs", ("title",), "docs_" + "x" * 60), "is longer than Postgres keeps.", "shorter"),
        (Request("taken", ("title",)), "cdc.embed: taken is not a table.", "ordinary"),
        (Request("fast", ("title",)), "cdc.embed: changes of fast are not in the WAL.", "unlogged"),
        (Request("parted_1", ("title",)), "cdc.embed: parted_1 is a partition.", "declare parted."),
        (Request("keyless", ("title",)), "cdc.embed: table keyless has no primary key.", "Add one"),
    ],
)
async def test_what_cannot_be_declared(conn: Connection, request_: Request, sentence: str, hint: str) -> None:
    await conn.execute(
        "create view taken as select * from docs; create table keyless (title text);"
        "create unlogged table fast (id int primary key, title text);"
        "create table parted (id int primary key, title text) partition by hash (id);"
        "create table parted_1 partition of parted for values with (modulus 1, remainder 0)"
    )
    with pytest.raises(ConfigurationError) as raised:
        await declare(conn, request_)
    assert sentence in raised.value.message
    assert hint in raised.value.hint


async def test_a_target_is_filled_from_one_declaration(conn: Connection) -> None:
    await declare(conn, Request("docs", ("title",)))
    with pytest.raises(ConfigurationError, match=r"already filled from public\.docs\(title\)"):
        await declare(conn, Request("docs", ("body",)))


async def test_a_model_given_later_counts_until_one_is_pinned(conn: Connection) -> None:
    await conn.execute("select cdc.embed('docs', array['title'])")
    await conn.execute(f"select cdc.embed('docs', array['title'], model => '{MODEL}')".encode())
    with pytest.raises(errors.DuplicateObject, match="already filled"):
        await conn.execute("select cdc.embed('docs', array['title'], model => 'other')")


async def test_a_role_without_rights(conn: Connection) -> None:
    async with role(conn, "revoke all on cdc.embeddings from modest"):
        with pytest.raises(DatabaseRefused, match="Permission denied for table embeddings"):
            await declare(conn, Request("docs", ("title",)))


async def test_a_column_of_that_name_is_meant_before_a_table(conn: Connection) -> None:
    await conn.execute("alter table docs add docs_vec text")
    await declare(conn, Request("docs", ("title",), "docs_vec"))
    kind = await (await conn.execute("select target_kind from cdc.embeddings")).fetchone()
    assert kind == ("column",)


@pytest.mark.parametrize(("target", "left"), [("embedding", 1), ("docs_embeddings", 1), (None, 0), ("other", 2)])
async def test_unembed(conn: Connection, target: str | None, left: int) -> None:
    await declare(conn, Request("docs", ("title",)))
    await declare(conn, Request("docs", ("title",), "embedding"))
    forgotten = await (await conn.execute("select cdc.unembed('docs', %s)", [target])).fetchone()
    assert forgotten == (2 - left,)


# --- prepare ------------------------------------------------------------------------------------------------------


async def test_what_is_made(conn: Connection) -> None:
    for request in parse('docs(title)->"Vec"; docs(title, body); "Notes"("Body")->public."Found"'):
        await declare(conn, request)
    made = await prepared(conn)
    assert [(one.model, one.dimensions) for one in made] == [(MODEL, DIMENSIONS)] * 3
    assert [one.target for one in made] == ["public.docs.Vec", "public.docs_embeddings", "public.Found"]
    assert all(one.prepared_at for one in made)
    assert (await columns(conn, "docs"))["Vec"] == "vector(4)"
    vectors = {"embedding": "vector(4) not null", "hash": "bytea not null"}
    touched = {"updated_at": "timestamp with time zone not null"}
    assert await columns(conn, "docs_embeddings") == {"id": "bigint not null", **vectors, **touched}
    key = {"part": "character varying(20) not null", "Id": "uuid not null"}
    assert await columns(conn, '"Found"') == {**key, **vectors, **touched}
    assert await prepared(conn) == made


async def test_a_foreign_key_takes_the_vectors_along(conn: Connection) -> None:
    await conn.execute("""select cdc.embed('"Notes"', array['Body'], fk => true)""")
    await prepared(conn)
    constraint = await conn.execute(
        "select pg_get_constraintdef(oid) from pg_constraint where contype = 'f' and confrelid = '\"Notes\"'::regclass"
    )
    assert await constraint.fetchone() == ('FOREIGN KEY (part, "Id") REFERENCES "Notes"(part, "Id") ON DELETE CASCADE',)


async def test_a_declared_model_is_taken_before_the_default(conn: Connection) -> None:
    async def dimensions(model: str) -> int:
        return {"test/long": 8}[model]

    await conn.execute("select cdc.embed('docs', array['title'], model => 'test/long')")
    (declaration,) = await prepare_all(conn, dimensions=dimensions)
    assert (declaration.model, declaration.dimensions, declaration.problem) == ("test/long", 8, None)


async def test_a_pinned_model_stays_when_the_default_changes(conn: Connection) -> None:
    async def unasked(model: str) -> int:
        raise AssertionError("the dimensions are pinned")

    await declare(conn, Request("docs", ("title",)))
    await prepared(conn)
    (declaration,) = await prepare_all(conn, default=lambda: Model("other"), dimensions=unasked)
    assert (declaration.model, declaration.problem) == (MODEL, None)


async def test_a_problem_stops_nobody_else_and_goes_when_mended(conn: Connection, migrated_url: str) -> None:
    await conn.execute("alter table docs add embedding text")
    await declare(conn, Request("docs", ("title",), "embedding"))
    await declare(conn, Request("docs", ("title",)))
    bad, good = await prepare_all(conn)
    assert bad.problem == (
        "Column public.docs.embedding exists already and is of type text, not vector. "
        "Call cdc.unembed() and name another target."
    )
    assert (good.problem, good.model) == (None, MODEL)
    async with pool(migrated_url, size=1, name="test") as db:
        served = Declared(db, Embedder())
        assert list(map(str, await served.targets(("public", "docs")))) == ["public.docs_embeddings"]
        await conn.execute("alter table docs drop embedding")
        await prepared(conn)
        assert len(await served.targets(("public", "docs"))) == 2


async def test_a_server_without_pgvector(any_migrated_url: str, connect: Connect) -> None:
    conn = await connect(any_migrated_url)
    await conn.execute(TABLES)
    await declare(conn, Request("docs", ("title",)))
    if conn.info.server_version >= 180000:
        await prepared(conn)
    else:
        said = await problem(conn)
        assert said.startswith("This Postgres server has no pgvector. Install it there")
        assert not await columns_or_none(conn, "docs_embeddings")


async def columns_or_none(conn: Connection, table: str) -> bool:
    return (await (await conn.execute("select to_regclass(%s)", [table])).fetchone()) != (None,)


async def test_existing_vectors_of_another_length(conn: Connection) -> None:
    await conn.execute("create extension vector; alter table docs add embedding vector(1536)")
    await declare(conn, Request("docs", ("title",), "embedding"))
    assert await problem(conn) == (
        "Column public.docs.embedding takes vectors of 1536 dimensions, test/hashed makes 4. "
        "Call cdc.unembed() and name another target or a model of 1536 dimensions."
    )
    (unpinned,) = await (await conn.execute("select model from cdc.embeddings")).fetchall()
    assert unpinned == (None,)


@pytest.mark.parametrize("type_", ["vector(4)", "vector", "halfvec(4)"])
async def test_existing_columns_that_fit(conn: Connection, type_: str) -> None:
    await conn.execute(f"create extension vector; alter table docs add embedding {type_}".encode())
    await declare(conn, Request("docs", ("title",), "embedding"))
    await prepared(conn)


@pytest.mark.parametrize(
    ("definition", "difference"),
    [
        (
            "id int primary key, embedding vector(4), hash bytea, updated_at timestamptz",
            "column id is integer, not bigi",
        ),
        ("id bigint primary key, embedding vector(4)", "it has no column hash, updated_at"),
        ("id bigint, embedding vector(4), hash bytea, updated_at timestamptz", "its primary key is not (id)"),
        ("id bigint primary key, embedding vector(5), hash bytea, updated_at timestamptz", "vectors of 5 dimensions"),
        ("id bigint primary key, embedding text, hash text, updated_at timestamptz", "column hash is text, not bytea"),
    ],
)
async def test_an_existing_table_of_another_shape(conn: Connection, definition: str, difference: str) -> None:
    await conn.execute(f"create extension vector; create table docs_embeddings ({definition})".encode())
    await declare(conn, Request("docs", ("title",)))
    assert difference in await problem(conn)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("drop table docs", "There is no table public.docs."),
        ("alter table docs drop title", "Table docs has no column title any more."),
        ("alter table docs drop constraint docs_pkey", "Table docs has no primary key."),
        ("alter table docs replica identity nothing", "Deleted rows of docs are published without their primary key."),
        (
            "alter table docs alter title set not null, add unique (title); "
            "alter table docs replica identity using index docs_title_key",
            "Deleted rows of docs are published without their primary key.",
        ),
        ("alter table docs replica identity full", None),
        ("alter table docs replica identity using index docs_pkey", None),
        ("alter table docs alter id type bytea using ''", "Column id of the primary key of docs is of type bytea"),
        ("alter table docs rename id to hash", "Key column hash of docs has the name of a column that a table of vec"),
    ],
)
async def test_what_a_table_must_be_like(conn: Connection, change: str, said: str | None) -> None:
    await declare(conn, Request("docs", ("title",)))
    await conn.execute(change.encode())
    if said is None:
        await prepared(conn)
    else:
        assert (await problem(conn)).startswith(said)


async def test_a_provider_that_rejects_us_is_a_problem(conn: Connection) -> None:
    async def dimensions(model: str) -> int:
        raise ProviderRejected("The key is refused.", hint="Check OPENAI_API_KEY.")

    await declare(conn, Request("docs", ("title",)))
    assert await problem(conn, dimensions=dimensions) == "The key is refused. Check OPENAI_API_KEY."


async def test_more_dimensions_than_pgvector_takes(conn: Connection) -> None:
    async def dimensions(model: str) -> int:
        return 20_000

    await conn.execute("select cdc.embed('docs', array['title'], index => 'none')")
    assert "cannot exceed 16000" in await problem(conn, dimensions=dimensions)


async def test_a_locked_table_is_tried_again(
    conn: Connection, migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "_LOCK_TIMEOUT", "10ms")
    monkeypatch.setattr(preparing, "_PAUSE", 0.0)
    await declare(conn, Request("docs", ("title",), "embedding"))
    application = await connect(migrated_url)
    async with application.transaction():
        await application.execute("select from docs")
        assert (await problem(conn)).startswith(
            "public.docs was locked by others each of the 2 times that its target was to be made."
        )
    await prepared(conn)


# --- rights -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "rights", "said"),
    [
        (
            Request("docs", ("title",)),
            "",
            'Role modest has no SELECT right on docs. Run: GRANT SELECT ON docs TO "modes',
        ),
        (
            Request("docs", ("title",), "vec"),
            "grant select on docs to modest",
            "Role modest has no UPDATE right on docs.",
        ),
        (
            Request("docs", ("title",), "vec"),
            "grant select, update on docs to modest",
            'Must be owner of table docs. Grant it, or let the owner run: alter table "public"."docs" add column "vec" '
            '"public"."vector"(4);',
        ),
        (
            Request("docs", ("title",)),
            "grant select on docs to modest; revoke create on schema public from public",
            'Permission denied for schema public. Grant it, or let the owner run: create table "public"."docs_embeddi',
        ),
        (
            Request("docs", ("title",)),
            "grant select on docs to modest; alter table docs enable row level security",
            "Row-level security hides rows of docs from role modest; their vectors would be removed.",
        ),
    ],
)
async def test_what_a_role_must_be_allowed(conn: Connection, request_: Request, rights: str, said: str) -> None:
    await conn.execute("create extension vector")
    await declare(conn, request_)
    async with role(conn, rights):
        assert (await problem(conn)).startswith(said)


async def test_a_role_that_may_not_install_pgvector(conn: Connection) -> None:
    await declare(conn, Request("docs", ("title",)))
    async with role(conn, "grant select on docs to modest"):
        said = await problem(conn)
    assert said.endswith("Let an administrator run: CREATE EXTENSION vector;")
