"""What an embedding can be told in SQL: kept as told, checked when told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from psycopg import Error
from psycopg.rows import dict_row

from cdc.embedding.declare import declare, parse
from tests.servers import Connection

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "embedding.md").read_text(encoding="utf-8")

TABLE = """
create table docs (
    id bigint primary key, title text, body text, data jsonb, "data.kind" text, plain json, embedding_1536 real[]
);
"""


@pytest.fixture
async def conn(conn: Connection) -> Connection:
    await conn.execute(TABLE)
    return conn


async def embed(conn: Connection, arguments: str) -> dict[str, Any]:
    """The declaration that `cdc.embed('docs', <arguments>)` makes."""
    ((made,),) = await (await conn.execute(f"select cdc.embed('docs', {arguments})".encode())).fetchall()
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("select * from cdc.embeddings where id = %s", [made])
        (row,) = await cursor.fetchall()
    return row


@pytest.mark.parametrize(
    ("arguments", "columns", "reads"),
    [
        ("array['body', 'title']", ["body", "title"], {"body", "title"}),
        ("array['data.title', 'plain.a.0']", ["data.title", "plain.a.0"], {"data", "plain"}),
        ("array['data.kind']", ["data.kind"], {"data.kind"}),
        ("template => '{title}: {body} {title} {{title}}'", ["title", "body"], {"title", "body"}),
        ("template => '{data.author.name} {data.kind}'", ["data.author.name", "data.kind"], {"data", "data.kind"}),
        ("expression => 'title || coalesce(body, $$$$)'", ["title", "body"], {"title", "body"}),
        ("expression => $$data ->> 'title' -- the title$$", ["data"], {"data"}),
        ("expression => $$upper('%s')$$", [], set()),
        ("expression => $$'x'$$, filter => 'true'", [], set()),
        ("array['title'], filter => 'length(body) > 3 and id <> 7'", ["title"], {"title", "body", "id"}),
        ("""array['title'], filter => '"data.kind" like $$%s%%$$'""", ["title"], {"title", "data.kind"}),
        ("array['title'], filter => 'exists (select from pg_class where oid = id)'", ["title"], {"title", "id"}),
    ],
)  # fmt: skip
async def test_the_columns_that_are_read(conn: Connection, arguments: str, columns: list[str], reads: set[str]) -> None:
    declared = await embed(conn, arguments)
    assert (declared["columns"], set(declared["reads"])) == (columns, reads)


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        ("null", "cdc.embed: no columns given", "template"),
        ("array['title'], template => '{title}'", "cdc.embed: the text of a row has one source", "or a template"),
        ("template => '{title'", "cdc.embed: a brace of the template stands alone", "{{"),
        ("template => 'title }'", "cdc.embed: a brace of the template stands alone", "{{"),
        ("template => '{}'", "cdc.embed: a brace of the template stands alone", "{title}"),
        ("template => '{{title}}'", "cdc.embed: the template names no column", "{title}"),
        ("template => '{titel}'", "cdc.embed: table docs has no column titel", "spelling"),
        ("template => '{title.first}'", 'cdc.embed: table docs has no column "title.first"', "json column"),
        (
            "expression => 'titel || body'",
            'cdc.embed: the expression cannot be used: column "titel" does not exist',
            "over one row",
        ),
        ("expression => 'title) || (hash'", 'the expression cannot be used: column "hash" does not exist', "plain"),
        ("expression => 'title; drop table docs'", "the expression cannot be used: syntax error", "plain"),
        ("expression => 's.title'", "the expression cannot be used: missing FROM-clause", "plain"),
        ("array['title'], filter => 'id'", "the filter cannot be used: argument of CASE/WHEN must be type bool", "row"),
        ("array['title'], filter => ''", "the filter cannot be used: syntax error", "row"),
        ("array['title'], chunk_overlap => 5", "cdc.embed: chunk_overlap is given without chunk_tokens", "tokens"),
        ("array['title'], chunk_tokens => 5, chunk_overlap => 5", "chunks of 5 tokens cannot overlap by 5", "400"),
        ("array['title'], chunk_tokens => 0", "chunks of 0 tokens cannot overlap by 0", "400"),
        ("array['title'], metric => 'hamming'", "is nothing that we know", "inner_product"),
        ("array['title'], vector_type => 'bit'", "is nothing that we know", "halfvec"),
        ("array['title'], index => 'ivfflat'", "is nothing that we know", "hnsw"),
        ("array['title'], dimensions => 0", "is nothing that we know", "more than 0"),
        ("array['title'], replaces => 'nothing'", "cdc.embed: table docs has no target nothing", "whose place"),
        (
            "expression => 'vec || title', target => 'vec'",
            "cdc.embed: the expression cannot be used",
            "plain",
        ),
        ("array['title'], filter => 'body is null', target => 'body'", "body cannot be source and target", "another"),
    ],
)
async def test_what_cannot_be_told(conn: Connection, arguments: str, sentence: str, hint: str) -> None:
    with pytest.raises(Error) as raised:
        await embed(conn, arguments)
    assert sentence in (raised.value.diag.message_primary or "")
    assert hint in (raised.value.diag.message_hint or "")
    assert await (await conn.execute("select from cdc.embeddings")).fetchall() == []


async def test_everything_is_kept(conn: Connection) -> None:
    told = (
        "template => '{title}\\n\\n{body}', filter => 'id > 0', chunk_tokens => 400, chunk_overlap => 50,"
        " dimensions => 512, vector_type => 'halfvec', metric => 'l2', index => 'none', model => 'openai/x', fk => true"
    )
    declared = await embed(conn, told)
    assert declared["template"] == "{title}\n\n{body}"
    assert (declared["target_kind"], declared["target_table"], declared["target_column"]) == (
        "chunks",
        "docs_chunks",
        "embedding",
    )
    kept = ("filter", "chunk_tokens", "chunk_overlap", "dimensions", "vector_type", "metric", "index_type", "model")
    assert [declared[name] for name in kept] == ["id > 0", 400, 50, 512, "halfvec", "l2", "none", "openai/x"]
    assert declared["live_at"] is not None
    assert await embed(conn, told) == declared
    await conn.execute("update cdc.embeddings set model = 'openai/x@512'")
    assert (await embed(conn, told))["id"] == declared["id"]


@pytest.mark.parametrize(
    "changed",
    [
        "template => '{body}'",
        "array['title', 'body'], filter => 'id > 1'",
        "array['title', 'body'], metric => 'l2'",
        "array['title', 'body'], vector_type => 'halfvec'",
        "array['title', 'body'], dimensions => 3",
        "array['title', 'body'], target => 'docs_embeddings', chunk_tokens => 10",
    ],
)
async def test_the_same_target_cannot_be_told_something_else(conn: Connection, changed: str) -> None:
    await embed(conn, "array['title', 'body'], vector_type => 'vector', dimensions => 4")
    with pytest.raises(Error, match="already filled"):
        await embed(conn, changed)


@pytest.mark.parametrize(
    ("arguments", "index"),
    [
        ("array['title']", "hnsw"),
        ("array['title'], chunk_tokens => 100", "hnsw"),
        ("array['title'], target => 'vec'", "none"),
        ("array['title'], target => 'vec', index => 'hnsw'", "hnsw"),
        ("array['title'], target => 'own'", "none"),
        ("array['title'], index => 'none'", "none"),
    ],
)
async def test_the_index_that_is_made_without_being_asked_for(conn: Connection, arguments: str, index: str) -> None:
    await conn.execute("create table own (id bigint primary key)")
    assert (await embed(conn, arguments))["index_type"] == index


async def test_another_index_can_be_wished_for_later(conn: Connection) -> None:
    declared = await embed(conn, "array['title']")
    assert await embed(conn, "array['title'], index => 'none'") == {**declared, "index_type": "none"}


@pytest.mark.parametrize(
    ("first", "old", "new"),
    [
        ("array['title']", "docs_embeddings", "docs_embeddings_2"),
        ("array['title']", "public.docs_embeddings", "docs_embeddings_2"),
        ("array['title'], target => 'docs_7'", "docs_7", "docs_8"),
        ("array['title'], chunk_tokens => 9", "docs_chunks", "docs_chunks_2"),
        ("array['title'], target => 'vec'", "vec", "vec_2"),
        ("array['title'], target => 'embedding_1536'", "embedding_1536", "embedding_1536_2"),
    ],
)
async def test_a_successor_is_as_what_it_replaces(conn: Connection, first: str, old: str, new: str) -> None:
    before = await embed(conn, f"{first}, metric => 'l2', filter => 'id > 0', fk => true, model => 'test/a@8'")
    after = await embed(conn, f"replaces => '{old}', model => 'test/b'")
    assert (after["replaces"], after["live_at"], after["model"]) == (before["id"], None, "test/b")
    same = ("columns", "reads", "filter", "metric", "fk", "target_kind", "chunk_tokens", "chunk_overlap", "index_type")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert new == (after["target_column"] if after["target_kind"] == "column" else after["target_table"])
    assert await embed(conn, f"replaces => '{old}', model => 'test/b'") == after


@pytest.mark.parametrize(("type_", "kept"), [("vector", None), ("halfvec", "halfvec")])
async def test_a_successor_takes_no_more_space(conn: Connection, type_: str, kept: str | None) -> None:
    await embed(conn, f"array['title'], vector_type => '{type_}'")
    assert (await embed(conn, "replaces => 'docs_embeddings'"))["vector_type"] == kept


async def test_a_successor_can_be_told_otherwise(conn: Connection) -> None:
    await embed(conn, "template => '{title}', target => 'vec', model => 'test/a@8'")
    after = await embed(conn, "replaces => 'vec', chunk_tokens => 100, dimensions => 4")
    assert (after["target_kind"], after["target_table"]) == ("chunks", "docs_chunks")
    assert (after["template"], after["model"], after["dimensions"]) == ("{title}", "test/a", 4)
    other = await embed(conn, "expression => 'body', replaces => 'vec', target => 'docs_other'")
    assert (other["template"], other["expression"], other["target_table"]) == (None, "body", "docs_other")


async def test_who_declares_needs_no_right_to_read(conn: Connection) -> None:
    await conn.execute(
        "do $$ begin if to_regrole('modest') is null then create role modest; end if; end $$;"
        "grant usage on schema cdc to modest; grant all on all tables in schema cdc to modest; set role modest"
    )
    declared = await embed(conn, "expression => 'title', filter => 'id > 0'")
    assert declared["reads"] == ["id", "title"]
    await conn.execute("reset role")


@pytest.mark.parametrize("named", ['"My vectors".vec', "My vectors.vec", "vec"])
async def test_a_target_is_known_by_each_of_its_names(conn: Connection, named: str) -> None:
    await conn.execute('create schema "My vectors"')
    before = await embed(conn, """array['title'], target => '"My vectors".vec'""")
    after = await embed(conn, f"""replaces => '{named}'""")
    assert (after["replaces"], after["target_schema"], after["target_table"]) == (before["id"], "My vectors", "vec_2")
    assert await (await conn.execute("select cdc.unembed('docs', %s)", [named])).fetchone() == (1,)


async def test_what_the_docs_show_can_be_declared(conn: Connection) -> None:
    declaring = PAGE.partition("\n## Declaring\n")[2]
    await conn.execute(
        "create table documents (id int primary key, title text, content text, published bool, lang text);"
        "create table notes (id int primary key, body text);"
        "create table papers (id int primary key, title text, abstract text, year int)"
    )
    await conn.execute(declaring.partition("```sql\n")[2].partition("```")[0].encode())
    await conn.execute("delete from cdc.embeddings")
    requests = parse(declaring.partition('CDC_EMBED="')[2].partition('"')[0])
    assert len({await declare(conn, request) for request in requests}) == 3
