"""The text of a row, as columns, a template or an expression make it, and which rows have one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from cdc.authoring.context import Counts, Database
from cdc.embedding.declared import Declared
from cdc.store import embeddings
from cdc.store.texts import text_of
from tests.functions.embedding import Embedder, change, prepared
from tests.servers import Connection

NAMES = ["title", "body", "data.title", "data.tags.0", "50% off", "it's", "data.kind"]


@pytest.fixture
async def conn(conn: Connection) -> Connection:
    await conn.execute(
        "create table docs (id bigint primary key, title text, body text, data jsonb, plain json,"
        ' n integer, "50% off" text, "it\'s" text, "data.kind" text)'
    )
    return conn


async def texts(conn: Connection, arguments: str, *values: Any) -> list[str | None]:
    """The texts of all rows, of an embedding that is told this; it is forgotten again."""
    async with conn.transaction(force_rollback=True):
        await conn.execute(f"select cdc.embed('docs', {arguments})".encode(), values or None)
        (layout,) = await embeddings.layouts(conn)
        query = sql.SQL("select {} from docs s order by id").format(text_of(layout.declaration))
        return [text for (text,) in await (await conn.execute(query, {})).fetchall()]


ROW = """
insert into docs values (1, 'Title', 'Body', '{"title": "In data", "tags": ["a", "b"], "by": {"name": "Eve"}, "n": 3,
    "none": null, "deep": {"x": [1, 2]}}', '{"a": "plain"}', 7, '50', 'best', 'kind')
"""


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("array['title', 'body']", "Title\n\nBody"),
        ("array['data.title', 'n']", "In data\n\n7"),
        ("array['data.none', 'data.nothing', 'data.n']", "3"),
        ("array['data.deep', 'plain.a', 'data.kind']", '{"x": [1, 2]}\n\nplain\n\nkind'),
        ("array['50% off', 'it''s']", "50\n\nbest"),
        ("template => '{title}: {body}'", "Title: Body"),
        ("template => '{title}\\n\\n{body}'", "Title\n\nBody"),
        ("template => e'{title}\\n\\n{body}'", "Title\n\nBody"),
        ("template => '{{{title}}} 100% %s %(x)s {{}} \\'", "{Title} 100% %s %(x)s {} \\"),
        ("template => 'by {data.by.name}, {data.tags.1}, [{data.none}]'", "by Eve, b, []"),
        ("template => '{data.none}{data.nothing}'", None),
        ("template => '{50% off}{it''s}{data.kind}'", "50bestkind"),
        ("expression => 'title || n % 4'", "Title3"),
        ("expression => $$title || ' -- ' || (data ->> 'title') -- as it was$$", "Title -- In data"),
        ("expression => 'n'", "7"),
        ("expression => 'nullif(n, 7)'", None),
        ("expression => '$$$$::text'", None),
        ("expression => '(select string_agg(t, $$+$$) from jsonb_array_elements_text(data -> $$tags$$) t)'", "a+b"),
        ("expression => 'format($$%s, %s$$, title, id)'", "Title, 1"),
        ("array['title'], filter => 'n = 7 and title like $$T%$$'", "Title"),
        ("array['title'], filter => 'n <> 7'", None),
        ("array['title'], filter => 'nullif(n, 7) > 0'", None),
        ("expression => 'body', filter => 'id = 1 -- the first'", "Body"),
        ("template => '{title}', filter => 'id = 2'", None),
    ],
)
async def test_the_text_of_a_row(conn: Connection, arguments: str, text: str | None) -> None:
    await conn.execute(ROW.encode())
    assert await texts(conn, arguments) == [text]


literals = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6) | st.sampled_from(
    ["{{", "}}", "%", "%s", "'", "\\", "\\n", "\n\n", ": "]
)
pieces = st.lists(literals.map(lambda text: (text, "")) | st.sampled_from(NAMES).map(lambda name: ("", name)))
values = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=60
)
@given(pieces=pieces, name=st.sampled_from(NAMES), row=st.fixed_dictionaries(dict.fromkeys(NAMES, values)))
async def test_a_template_is_filled_as_it_reads(
    conn: Connection, pieces: list[tuple[str, str]], name: str, row: dict[str, str | None]
) -> None:
    pieces = [*pieces, ("", name)]
    # A line break may be written as in most other languages.
    said = "".join(text.replace("{", "{{").replace("}", "}}") if text else f"{{{name}}}" for text, name in pieces)
    filled = [row[name] or "" for text, name in pieces if not text and name]
    joined = "".join(text.replace("\\n", "\n") if text else row.get(name) or "" for text, name in _joined(pieces))

    data = json.dumps({"title": row["data.title"], "tags": [row["data.tags.0"]]})
    kept = [row[own] for own in ("title", "body", "50% off", "it's", "data.kind")]
    async with conn.transaction(force_rollback=True):
        await conn.execute(
            'insert into docs (id, title, body, "50%% off", "it\'s", "data.kind", data)'
            " values (1, %s, %s, %s, %s, %s, %s)",
            [*kept, data],
        )
        assert await texts(conn, "template => %s", said) == [joined if any(filled) else None]


def _joined(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Texts beside each other as one: a backslash may stand at the end of the first."""
    joined: list[tuple[str, str]] = []
    for text, name in pieces:
        if joined and text and joined[-1][0]:
            joined[-1] = (joined[-1][0] + text, "")
        elif text or name:
            joined.append((text, name))
    return joined


class Told:
    """The table with one embedding that was told something, followed."""

    def __init__(self, conn: Connection, db: Database) -> None:
        self.conn = conn
        self.db = db
        self.embedder = Embedder()

    async def embed(self, arguments: str) -> None:
        await self.conn.execute(f"select cdc.embed('docs', {arguments})".encode())
        await prepared(self.conn)

    async def follow(self, statement: str) -> Counts:
        """What an UPDATE of row 1 comes to."""
        await self.conn.execute(statement.encode())
        (target,) = await Declared(self.db, self.embedder).targets(("public", "docs"))
        return await target.follow(self.db, self.embedder, [change("updated", {"id": 1})])


@pytest.fixture
def told(conn: Connection, db: Database) -> Told:
    return Told(conn, db)


@pytest.mark.parametrize("target", ["docs_embeddings", "vec"])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("template => '{title}: {data.by}'", "a: Eve"),
        ("expression => $$title || (data ->> 'by')$$", "aEve"),
        ("array['title', 'data.by'], filter => 'n is null or n < 5'", "a\n\nEve"),
    ],
)
async def test_what_is_not_named_embeds_nothing(told: Told, arguments: str, text: str, target: str) -> None:
    await told.embed(f"{arguments}, target => '{target}'")
    row = """insert into docs (id, title, body, data) values (1, 'a', 'b', '{"by": "Eve", "on": 1}')"""
    assert await told.follow(row) == Counts(embedded=1)
    change = """update docs set body = 'other', n = 3, data = data || '{"on": 2}'"""
    assert await told.follow(change) == Counts(unchanged=1)
    assert told.embedder.asked == [text]
    assert await told.follow("update docs set title = 'c'") == Counts(embedded=1)


@pytest.mark.parametrize("target", ["docs_embeddings", "vec"])
async def test_a_row_has_a_vector_while_it_meets_the_filter(told: Told, target: str) -> None:
    await told.embed(f"array['title'], filter => 'n > 0', target => '{target}'")
    assert await told.follow("insert into docs (id, title, n) values (1, 'a', 0)") == Counts(unchanged=1)
    assert await told.follow("update docs set n = 1") == Counts(embedded=1)
    assert await told.follow("update docs set n = 2") == Counts(unchanged=1)
    assert await told.follow("update docs set n = null") == Counts(cleared=1)
    assert await told.follow("update docs set title = 'b'") == Counts(unchanged=1)
    assert await told.follow("update docs set n = 3") == Counts(embedded=1)
    assert told.embedder.asked == ["a", "b"]


async def test_names_of_the_row_do_not_meet_those_of_the_statement(conn: Connection, told: Told) -> None:
    await conn.execute("alter table docs add hash text, add s text, add t text, add given text, add cdc_row text")
    await told.embed("expression => 'concat(hash, s, t, given, cdc_row)', filter => 'hash <> s and t is not null'")
    row = "insert into docs (id, hash, s, t, given, cdc_row) values (1, 'a', 'b', 'c', 'd', 'e')"
    assert await told.follow(row) == Counts(embedded=1)
    assert told.embedder.asked == ["abcde"]


@pytest.mark.parametrize("target", ["target => 'docs_embeddings'", "target => 'vec'", "chunk_tokens => 9"])
async def test_a_row_whose_text_cannot_be_made_harms_no_other(conn: Connection, told: Told, target: str) -> None:
    await told.embed(f"expression => $$title || 12 / n$$, {target}")
    await conn.execute("insert into docs (id, title, n) select n, 'a', n from generate_series(0, 9) n")
    (of,) = await Declared(told.db, told.embedder).targets(("public", "docs"))
    counts = await of.reconcile(told.db, told.embedder, [(str(n),) for n in range(10)])
    assert counts == Counts(embedded=9, refused=1)
    aside = await (await conn.execute("select key, reason from cdc.embedding_errors")).fetchall()
    assert aside == [('["0"]', "Division by zero.")]
    await conn.execute("update docs set n = 6 where n = 0")
    assert await of.reconcile(told.db, told.embedder, [("0",)]) == Counts(embedded=1)
    assert await (await conn.execute("select from cdc.embedding_errors")).fetchall() == []
    await conn.execute("update docs set n = 0 where n = 9")
    assert await of.reconcile(told.db, told.embedder, [("9",)]) == Counts(refused=1)
    await conn.execute("delete from docs where n = 0")
    assert await of.reconcile(told.db, told.embedder, [("9",)]) == Counts(cleared=1)
    assert await (await conn.execute("select from cdc.embedding_errors")).fetchall() == []


async def test_the_same_texts_are_split_into_chunks(conn: Connection, told: Told) -> None:
    await told.embed("template => '{title} {data.by}', filter => 'n > 0', chunk_tokens => 2, vector_type => 'halfvec'")
    row = """insert into docs (id, title, data, n) values (1, 'one two', '{"by": "three four"}', 1)"""
    assert await told.follow(row) == Counts(embedded=1)
    assert told.embedder.asked == ["one two", "three four"]
    assert await told.follow("update docs set body = 'b', n = 2") == Counts(unchanged=1)
    assert await told.follow("update docs set n = 0") == Counts(cleared=1)
    assert await (await conn.execute("select from docs_chunks")).fetchall() == []
