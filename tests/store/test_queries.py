"""Every file under sql/queries: it prepares on every version, says what it does, and is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from psycopg import AsyncConnection, sql

import cdc
from cdc.store import spans
from cdc.store.embeddings import Declaration, KeyColumn, Layout
from cdc.store.parts import Verb, statement
from cdc.store.queries import SQL, compose, text
from tests.servers import Connect, Connection

FILES = sorted(str(file.relative_to(SQL / "queries").with_suffix("")) for file in SQL.glob("queries/*/*.sql"))

UTILITY = {
    "chunks/begin": "SET TRANSACTION",
    "chunks/declare": "DECLARE",
    "chunks/estimate": "EXPLAIN",
    "chunks/fetch": "FETCH",
    "demo/create_table": "CREATE TABLE",
    "embedding/add_column": "ALTER TABLE",
    "embedding/create_chunks": "CREATE TABLE",
    "embedding/create_extension": "CREATE EXTENSION",
    "embedding/create_index": "CREATE INDEX",
    "embedding/create_table": "CREATE TABLE",
    "embedding/drop_column": "ALTER TABLE",
    "embedding/drop_index": "DROP INDEX",
    "embedding/drop_table": "DROP TABLE",
    "embedding/finish_chunks": "ALTER TABLE",
    "embedding/finish_table": "ALTER TABLE",
    "events/copy": "COPY",
    "events/copy_sent": "COPY",
    "migrations/prepare_schema": "CREATE SCHEMA",
    "migrations/prepare_table": "CREATE TABLE",
    "notifications/listen": "LISTEN",
    "realtime/listen": "LISTEN",
    "notifications/unlisten": "UNLISTEN",
    "publications/add_table": "ALTER PUBLICATION",
    "publications/create": "CREATE PUBLICATION",
    "publications/drop_table": "ALTER PUBLICATION",
    "publications/set_generated": "ALTER PUBLICATION",
    "publications/set_root": "ALTER PUBLICATION",
    "publications/try_delete": "EXPLAIN",
    "publications/try_update": "EXPLAIN",
    "runs/copy": "COPY",
    "setup/act_as": "SET LOCAL ROLE",
    "setup/allow_login": "ALTER ROLE",
    "setup/create_role": "CREATE ROLE",
    "setup/create_schema": "CREATE SCHEMA",
    "setup/drop_publication": "DROP PUBLICATION",
    "setup/drop_schema": "DROP SCHEMA",
    "setup/grant_connect": "GRANT",
    "setup/grant_making": "GRANT",
    "setup/grant_membership": "GRANT",
    "setup/grant_referring": "GRANT",
    "setup/grant_schema": "GRANT",
    "setup/grant_select": "GRANT",
    "setup/grant_vectors": "GRANT",
    "setup/grant_writing": "GRANT",
    "setup/own_publication": "ALTER PUBLICATION",
}
"""PREPARE takes no utility statements; other tests execute each of these."""

PLACEHOLDER = re.compile(r"%\((\w+)\)[sbt]")
PART = re.compile(r"\{(\w+)\}")

TABLES = """
    create schema app;
    create table app.docs (
        tenant text, id bigint, title text, body text, embedding extensions.vector, primary key (tenant, id));
    create table app.docs_embeddings (
        tenant text, id bigint, embedding extensions.vector, hash bytea, updated_at timestamptz,
        primary key (tenant, id));
    create table app.docs_chunks (
        tenant text, id bigint, ordinal integer, chunk text, embedding extensions.vector, hash bytea,
        updated_at timestamptz, primary key (tenant, id, ordinal));
    create table documents_embeddings ();
"""

STAND_IN = """
    create schema extensions;
    create domain extensions.vector as real[];
    create function extensions.distance(real[], real[]) returns float8 language sql as 'select 0::float8';
    create operator extensions.<=> (leftarg = real[], rightarg = real[], function = extensions.distance);
"""
"""For servers without pgvector: enough of it for statements to be understood."""


def written(name: str) -> str:
    """The file as it is, with its header."""
    return (SQL / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def header(name: str) -> str:
    lines = written(name).splitlines()
    return "\n".join(lines[: next(place for place, line in enumerate(lines) if not line.startswith("--"))])


def layout(kind: Any, *, fk: bool) -> Layout:
    return Layout(
        Declaration(
            id=1,
            table_schema="app",
            table_name="docs",
            columns=("title", "body"),
            target_kind=kind,
            target_schema="app",
            target_table="docs" if kind == "column" else "docs_embeddings",
            target_column="embedding",
            fk=fk,
            model="test/64",
            dimensions=64,
            problem=None,
            prepared_at=None,
        ),
        key=(KeyColumn("tenant", "pg_catalog", "text"), KeyColumn("id", "pg_catalog", "int8")),
        vector_schema="extensions",
    )


LAYOUTS = [layout(kind, fk=fk) for kind, fk in (("table", False), ("table", True), ("column", False))]
LAYOUTS += [
    replace(
        whole,
        declaration=replace(
            whole.declaration, target_kind="chunks", target_table="docs_chunks", chunk_tokens=400, chunk_overlap=50
        ),
    )
    for whole in LAYOUTS[:2]
]


def composed() -> Mapping[str, list[sql.Composed]]:
    """Statements with parts, filled; those about targets for every kind of target."""
    found: dict[str, list[sql.Composed]] = {
        f"migrations/{name}": [compose(f"migrations/{name}", schema=sql.Identifier("cdc_state"))]
        for name in ("applied", "record")
    }
    found |= about_spans()
    for verb in get_args(Verb):
        for target in LAYOUTS:
            names = (f"embedding/{verb}", f"embedding/{verb}_{target.declaration.target_kind}")
            for name in set(names) & set(FILES):
                found.setdefault(name, []).append(statement(verb, target))
    return found


def about_spans() -> dict[str, list[sql.Composed]]:
    columns = (("tenant", 25, -1), ("id", 20, -1), ("body", 25, -1))
    key = (
        spans.KeyColumn("tenant", "pg_catalog", "text", "pg_catalog", "C"),
        spans.KeyColumn("id", "pg_catalog", "int8", None, None),
    )
    layout = spans.TableLayout(1, "app", "docs", "d", columns, key, "(body ~~ '100%'::text)", published=True)
    span = spans.Span(("a", "1"), ("b", "2"))
    return {
        "chunks/again": [spans.once_more(layout, span), spans.once_more(layout, span._replace(after=None))],
        "chunks/few": [compose("chunks/few", table=sql.Identifier("app", "docs"), most=sql.Literal(1))],
        "chunks/last": [spans.greatest(layout)],
    }


def numbered(query: str) -> str:
    """With $1, $2 ... for the named placeholders."""
    names = list(dict.fromkeys(PLACEHOLDER.findall(query)))
    return PLACEHOLDER.sub(lambda match: f"${names.index(match[1]) + 1}", query).replace("%%", "%")


@pytest.fixture
async def connection(every_migrated_url: str, connect: Connect) -> Connection:
    connection = await connect(every_migrated_url)
    offered = "select from pg_available_extensions where name = 'vector'"
    if (await connection.execute(offered)).rowcount:
        await connection.execute("create schema extensions; create extension vector schema extensions")
    else:
        await connection.execute(STAND_IN)
    await connection.execute(text("demo/create_table"))
    await connection.execute(TABLES.encode())
    return connection


async def test_every_statement_prepares(connection: AsyncConnection[Any]) -> None:
    filled = composed()
    for name in sorted(set(FILES) - UTILITY.keys()):
        for query in filled.get(name, [sql.SQL(text(name))]):
            try:
                await connection.execute(f"prepare it as {numbered(query.as_string(connection))}".encode())
            except Exception as error:
                raise AssertionError(f"sql/queries/{name}.sql: {error}") from error
            await connection.execute("deallocate it")


@pytest.mark.parametrize("name", UTILITY)
def test_what_is_not_prepared_is_a_utility_statement(name: str) -> None:
    body = written(name).removeprefix(header(name)).strip()
    assert body.upper().startswith(UTILITY[name])


@pytest.mark.parametrize("name", FILES)
def test_every_statement_has_a_header_that_names_its_parameters_and_parts(name: str) -> None:
    said = set(re.findall(r"\w+", header(name)))
    assert said
    assert set(PLACEHOLDER.findall(text(name))) <= said
    assert set(PART.findall(text(name))) <= said or "cdc/store/parts.py" in header(name)


def test_every_statement_is_used() -> None:
    nodes = [
        node
        for file in Path(cdc.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]
    called = {
        argument.value
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "statement"
        for argument in node.args
        if isinstance(argument, ast.Constant)
    }
    assert called == set(get_args(Verb))
    said = {node.value for node in nodes if isinstance(node, ast.Constant)}
    about_targets = {name for name in composed() if name.startswith("embedding/")}
    assert set(FILES) - about_targets - said == set()


def test_a_hostile_identifier_stays_an_identifier() -> None:
    hostile = sql.Identifier('x"\n; drop table users; --')
    composed = compose("publications/create", publication=hostile, by_root=sql.Literal(True)).as_string()

    assert composed.count("drop table users") == 1
    assert 'create publication "x""\n; drop table users; --"' in composed
