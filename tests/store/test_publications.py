"""What the publication shows, on real servers: read from the catalog, and from the stream itself."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from cdc.errors import ConfigurationError
from cdc.store import publications
from cdc.store.publications import Unpublished
from cdc.store.selection import Table, parse
from tests.servers import EVERY_VERSION, Connect, Connection
from tests.waiting import eventually

PUBLISHED = "select schemaname || '.' || tablename, to_jsonb(t) -> 'attnames', to_jsonb(t) ->> 'rowfilter'"
USERS = "create table users (id bigint primary key, name text, secret text)"
PARTED = """
    create table parted (id int, k int, secret text, primary key (id, k)) partition by list (k);
    create table parted_1 partition of parted for values in (1);
    create table parted_2 partition of parted for values in (2);
"""


narrows = pytest.mark.parametrize("every_server", [each for each in EVERY_VERSION if each != "14"], indirect=True)
"""Columns and rows can be left out since 15."""


@pytest.fixture
async def conn(every_migrated_url: str, connect: Connect) -> Connection:
    return await connect(every_migrated_url)


async def shown(conn: Connection) -> dict[str, tuple[list[str] | None, str | None]]:
    """Table -> the columns and the condition it is published with."""
    rows = await (
        await conn.execute(f"{PUBLISHED} from pg_publication_tables t where pubname = 'cdc'".encode())
    ).fetchall()
    return {name: (columns, condition) for name, columns, condition in rows}


async def columns(conn: Connection) -> dict[str, list[str] | None]:
    return {name: columns for name, (columns, _) in (await shown(conn)).items()}


async def publish(conn: Connection, *wanted: Table, strict: bool = True, **settings: Any) -> Unpublished:
    """As a start does with these settings."""
    selection = parse(**settings)
    await publications.ensure(conn, "cdc", selection)
    return await publications.publish(conn, "cdc", wanted, selection, strict=strict)


@pytest.mark.parametrize(("kind", "tokens"), [("table", None), ("chunks", 400)])
async def test_patterns_publish_what_there_is_and_what_comes_but_nothing_of_ours(
    conn: Connection, kind: str, tokens: int | None
) -> None:
    await conn.execute(USERS.encode())
    await conn.execute("create schema audit; create table audit.log (id int primary key)")
    await conn.execute(
        "create unlogged table passing (id int primary key); create temp table temporary (id int primary key)"
    )
    await conn.execute(
        "create table documents (id int primary key, embedding text); create table vectors (id int primary key)"
    )
    await conn.execute(
        "insert into cdc.embeddings (table_schema, table_name, columns, target_kind, target_schema, target_table,"
        " target_column, chunk_tokens)"
        " values ('public', 'documents', '{body}', %s, 'public', 'vectors', 'embedding', %s)",
        [kind, tokens],
    )
    assert await publish(conn, tables="audit.*") == Unpublished(frozenset())
    assert {*await shown(conn)} == {"audit.log"}
    assert await publish(conn, tables="*") == Unpublished(frozenset())
    assert {*await shown(conn)} == {"audit.log", "public.users", "public.documents"}
    await conn.execute("create table later (id int primary key)")
    await publish(conn, tables="*")
    assert "public.later" in await shown(conn)


async def test_partitions_are_published_by_their_root_alone_or_by_their_own_names(conn: Connection) -> None:
    await conn.execute(PARTED.encode())
    await publish(conn, tables="*")
    assert {*await shown(conn)} == {"public.parted"}
    await publish(conn, tables="*", by_root=False)
    assert {*await shown(conn)} == {"public.parted_1", "public.parted_2"}
    await conn.execute("create table parted_3 partition of parted for values in (3)")
    assert "public.parted_3" in await shown(conn), "without waiting for us"
    await publish(conn, tables="*")
    assert {*await shown(conn)} == {"public.parted"}


async def test_a_table_that_is_named_and_is_not_there_or_not_fit_is_told(conn: Connection) -> None:
    await conn.execute("create table keyless (id int)")
    found = await publish(conn, ("public", "ghost"), ("cdc", "hashes"), tables="missing, keyless")
    assert found.absent == {("public", "ghost"), ("public", "missing")}
    assert found.refused.keys() == {("public", "keyless"), ("cdc", "hashes")}
    assert "no primary key" in found.refused["public", "keyless"]
    assert await shown(conn) == {}


async def test_a_child_by_inheritance_is_not_published_with_its_parent(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await conn.execute("create table hidden (more text) inherits (users)")
    await publish(conn, ("public", "users"))
    assert {*await shown(conn)} == {"public.users"}


@narrows
async def test_what_is_excluded_is_not_published_and_what_comes_later_is(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await publish(conn, tables="users", exclude="users(secret, pin)")
    assert await columns(conn) == {"public.users": ["id", "name"]}
    await conn.execute("alter table users add column email text, add column pin text")
    await publish(conn, tables="users", exclude="users(secret, pin)", strict=False)
    assert await columns(conn) == {"public.users": ["id", "name", "email"]}
    await publish(conn, tables="users")
    assert await columns(conn) == {"public.users": ["id", "name", "secret", "email", "pin"]}


@narrows
async def test_a_column_that_is_renamed_stays_left_out_until_the_setting_forgets_it(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await publish(conn, tables="users", exclude="users(secret)")
    for before, name in (("secret", "hidden"), ("hidden", "concealed")):
        await conn.execute(f"alter table users rename {before} to {name}".encode())
        await conn.execute(f"alter table users add column beside_{name} int".encode())
        await publish(conn, tables="users", exclude="users(secret)", strict=False)
        assert name not in ((await columns(conn))["public.users"] or [name])
        assert f"beside_{name}" in ((await columns(conn))["public.users"] or [])
    await conn.execute("alter table users add column secret text")
    await publish(conn, tables="users", exclude="users(secret)")
    shown = (await columns(conn))["public.users"] or []
    assert not {"secret", "concealed"} & {*shown}
    await publish(conn, tables="users", exclude="users(name)")
    assert {"secret", "concealed"} <= {*((await columns(conn))["public.users"] or [])}
    await conn.execute("drop table users")
    await conn.execute("create table users (id bigint primary key, secret text, other text)")
    await publish(conn, tables="users", exclude="users(secret)")
    assert await columns(conn) == {"public.users": ["id", "other"]}


@narrows
async def test_a_setting_takes_effect_on_what_is_published_already(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await conn.execute("create table secrets (id int primary key)")
    await publish(conn, tables="*")
    await publish(conn, tables="*", exclude="users(secret); secrets")
    assert await columns(conn) == {"public.users": ["id", "name"]}
    found = await publish(conn, ("public", "secrets"), exclude="public.*")
    assert await columns(conn) == {}
    assert found.refused == {("public", "secrets"): "CDC_EXCLUDE keeps it from being published"}


@narrows
async def test_an_excluded_column_is_in_no_transaction_s_sight(conn: Connection, connect: Connect) -> None:
    """A table is replaced in one transaction: nobody sees it gone, or whole."""
    await conn.execute(USERS.encode())
    await publish(conn, tables="users", exclude="users(secret)")
    await conn.execute("alter table users add column email text")
    async with conn.transaction():
        await publish(conn, tables="users", exclude="users(secret)")
        other = await connect(conn.info.dsn + f" password={conn.info.password}")
        assert await columns(other) == {"public.users": ["id", "name"]}
    assert await columns(other) == {"public.users": ["id", "name", "email"]}


@narrows
async def test_no_row_escapes_and_no_secret_leaves_meanwhile(conn: Connection, connect: Connect) -> None:
    await conn.execute(USERS.encode())
    await publish(conn, tables="users", exclude="users(secret)")
    slot = conn.info.dbname
    await conn.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [slot])
    writing = await connect(conn.info.dsn + f" password={conn.info.password}")
    replaced = asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        while not replaced.is_set():
            async with writing.transaction():
                for _ in range(3):
                    written += 1
                    await writing.execute("insert into users (id, secret) values (%s, 'hidden')", [written])

    writer = asyncio.create_task(write())
    try:
        for number in range(20):
            await conn.execute(f"alter table users add column c{number} int".encode())
            await publish(conn, tables="users", exclude="users(secret)", strict=False)
        await eventually(lambda: written > 20)
    finally:
        replaced.set()
        await writer
    cursor = await conn.execute(
        "select data from pg_logical_slot_get_binary_changes(%s, null, null, 'proto_version', '1',"
        " 'publication_names', 'cdc')",
        [slot],
    )
    messages = [message for (message,) in await cursor.fetchall()]
    assert len([message for message in messages if message[:1] == b"I"]) == written
    assert not [message for message in messages if b"hidden" in message or b"secret" in message]


@pytest.mark.parametrize("identity", ["default", "using index by_name", "full"])
@narrows
async def test_a_column_of_the_identity_cannot_be_excluded(conn: Connection, identity: str) -> None:
    await conn.execute("create table users (id int primary key, name text not null, secret text)")
    await conn.execute("create unique index by_name on users (name) include (secret)")
    await conn.execute(f"alter table users replica identity {identity}".encode())
    await publish(conn, tables="users")
    named = {"default": "id", "using index by_name": "name", "full": "secret"}[identity]
    with pytest.raises(
        ConfigurationError, match=f"CDC_EXCLUDE names its column {named}, which is of its replica identity"
    ):
        await publish(conn, tables="users", exclude=f"users({named})")
    assert await columns(conn) == {"public.users": ["id", "name", "secret"]}
    if identity != "full":
        await publish(conn, tables="users", exclude="users(secret)")
        await conn.execute("insert into users values (1, 'a', 'b'); update users set secret = 'c'; delete from users")


@narrows
async def test_an_identity_that_grows_over_an_excluded_column_ends_the_table_s_events_not_the_application(
    conn: Connection,
) -> None:
    await conn.execute(USERS.encode())
    await publish(conn, tables="users", exclude="users(secret)")
    await conn.execute("insert into users values (1); alter table users replica identity full")
    with pytest.raises(psycopg.Error, match="cannot update"):
        await conn.execute("update users set name = 'a'")
    found = await publish(conn, tables="users", exclude="users(secret)", strict=False)
    assert "replica identity" in found.refused["public", "users"]
    await conn.execute("update users set name = 'a'")
    assert await shown(conn) == {}


@narrows
async def test_rows_are_left_out_by_a_condition(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await publish(conn, tables="users", filters="users: id > 3 -- only these", exclude="users(secret)")
    assert await shown(conn) == {"public.users": (["id", "name"], "(id > 3)")}
    before = await (await conn.execute("select oid from pg_publication_rel")).fetchall()
    await publish(conn, tables="users", filters="users: id > 3 -- only these", exclude="users(secret)")
    assert await (await conn.execute("select oid from pg_publication_rel")).fetchall() == before, "nothing to do"
    await publish(conn, tables="users", filters="users: id > 4")
    assert await shown(conn) == {"public.users": (["id", "name", "secret"], "(id > 4)")}
    await publish(conn)
    assert await shown(conn) == {"public.users": (["id", "name", "secret"], None)}


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("name = 'a'", "not part of the replica identity"),
        ("nmae = 'a'", 'column "nmae" does not exist'),
        ("id = 'a'", "invalid input syntax"),
        ("id >", "syntax error"),
        ("id > random()", "mutable functions"),
        ("id", "must be type boolean"),
    ],
)
@narrows
async def test_a_condition_that_cannot_be_is_refused_and_nothing_changes(
    conn: Connection, condition: str, says: str
) -> None:
    await conn.execute(USERS.encode())
    await publish(conn, tables="users", filters="users: id > 1")
    with pytest.raises(ConfigurationError, match=says):
        await publish(conn, tables="users", filters=f"users: {condition}")
    assert (await shown(conn))["public.users"][1] == "(id > 1)"


@narrows
async def test_with_a_full_identity_a_condition_may_speak_of_any_column(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await conn.execute("alter table users replica identity full")
    await publish(conn, tables="users", filters="users: name is not null")
    await conn.execute("insert into users values (1, 'a'); update users set name = null")


@narrows
async def test_what_the_owner_left_out_himself_stays_left_out(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await conn.execute("create table orders (id int primary key, note text, total int)")
    await publish(conn)
    await conn.execute("alter publication cdc add table users (id, name) where (id > 7), orders (id, note)")
    await publish(conn, ("public", "users"), ("public", "orders"), tables="*")
    assert await shown(conn) == {"public.users": (["id", "name"], "(id > 7)"), "public.orders": (["id", "note"], None)}
    await publish(conn, tables="*", exclude="users(name)", filters="orders: id > 1")
    assert await shown(conn) == {"public.users": (["id"], "(id > 7)"), "public.orders": (["id", "note"], "(id > 1)")}


@narrows
async def test_columns_are_left_out_of_all_partitions(conn: Connection) -> None:
    await conn.execute(PARTED.encode())
    await publish(conn, tables="*", exclude="parted(secret)")
    assert await columns(conn) == {"public.parted": ["id", "k"]}
    await publish(conn, tables="*", exclude="parted(secret)", by_root=False)
    assert await columns(conn) == {"public.parted_1": ["id", "k"], "public.parted_2": ["id", "k"]}
    await conn.execute("create table parted_3 partition of parted for values in (3)")
    assert "public.parted_3" not in await columns(conn)
    await publish(conn, tables="*", exclude="parted(secret); parted_2", by_root=False, strict=False)
    assert await columns(conn) == {"public.parted_1": ["id", "k"], "public.parted_3": ["id", "k"]}
    await publish(conn, tables="*", exclude="parted(secret)")
    assert await columns(conn) == {"public.parted": ["id", "k"]}


@narrows
async def test_one_partition_may_have_less_than_the_others_under_its_own_name_only(conn: Connection) -> None:
    await conn.execute(PARTED.encode())
    await publish(conn, tables="*", exclude="parted_1(secret)", by_root=False)
    assert await columns(conn) == {"public.parted_1": ["id", "k"], "public.parted_2": ["id", "k", "secret"]}
    await conn.execute("create table parted_3 partition of parted for values in (3)")
    assert "public.parted_3" in await columns(conn)
    with pytest.raises(ConfigurationError, match=r"names its partition public\.parted_1"):
        await publish(conn, tables="*", exclude="parted_1(secret)")


@narrows
async def test_a_schema_published_by_hand_does_not_show_what_is_excluded(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await publish(conn)
    await conn.execute("alter publication cdc add tables in schema public")
    with pytest.raises(ConfigurationError, match=r"olumn list"):
        await publish(conn, exclude="users(secret)")


@narrows
async def test_embed_leaves_a_table_to_the_service_where_anything_is_left_out(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await conn.execute('create schema "S"; create table "S".docs (id int primary key, body text)')
    await conn.execute("create table free (id int primary key, body text)")
    await publish(conn, exclude='users(secret); "S".*')
    await conn.execute(
        "select cdc.embed('users', '{name}'), cdc.embed('\"S\".docs', '{body}'), cdc.embed('free', '{body}')"
    )
    assert {*await shown(conn)} == {"public.free"}
    await publish(conn, ("public", "users"), exclude="users(secret)")
    assert await columns(conn) == {"public.users": ["id", "name"], "public.free": ["id", "body"]}


async def test_a_table_is_pruned_when_nobody_needs_it(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    await conn.execute(PARTED.encode())
    await conn.execute("create table kept (id int primary key); create table named (id int primary key)")
    await publish(conn, tables="*")
    selection = parse(tables="named")
    dropped = await publications.prune(conn, "cdc", [("public", "kept")], selection)
    assert {*dropped} == {("public", "users"), ("public", "parted")}
    assert {*await shown(conn)} == {"public.kept", "public.named"}


@narrows
async def test_generated_columns_are_published_where_the_server_can(conn: Connection) -> None:
    await conn.execute("create table g (id int primary key, a int, twice int generated always as (a * 2) stored)")
    await conn.execute("create publication cdc with (publish_via_partition_root = true)")
    await publish(conn, tables="g", exclude="g(a)")
    expected = ["id", "twice"] if conn.info.server_version >= 180000 else ["id"]
    assert await columns(conn) == {"public.g": expected}
    row = await (await conn.execute("select to_jsonb(p) ->> 'pubgencols' from pg_publication p")).fetchone()
    assert row == ("s" if conn.info.server_version >= 180000 else None,)


@pytest.mark.parametrize("every_server", ["14"], indirect=True)
async def test_postgres_14_cannot_leave_out_columns_or_rows_but_whole_tables(conn: Connection) -> None:
    await conn.execute(USERS.encode())
    refused: list[dict[str, Any]] = [{"exclude": "users(secret)"}, {"filters": "users: id > 3"}]
    for settings in refused:
        with pytest.raises(ConfigurationError, match="need Postgres 15; this is 14"):
            await publish(conn, **settings)
    await publish(conn, tables="*", exclude="users")
    assert await shown(conn) == {}
