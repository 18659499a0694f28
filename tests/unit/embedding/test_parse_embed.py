"""CDC_EMBED: what can be written, and what is said about the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.embedding.declare import Request, parse
from cdc.errors import ConfigurationError
from cdc.store.embeddings import Options


@pytest.mark.parametrize(
    ("text", "requests"),
    [
        ("", []),
        (" ; ;", []),
        ("notes(body)", [Request("notes", ("body",))]),
        ("notes ( body ) ;", [Request("notes", ("body",))]),
        ("documents(title,content)->embedding", [Request("documents", ("title", "content"), "embedding")]),
        (
            "documents(title, content) -> embedding; public.notes(body)",
            [Request("documents", ("title", "content"), "embedding"), Request("public.notes", ("body",))],
        ),
        ("Notes(Body)->Vec", [Request("notes", ("body",), "vec")]),
        ('"Notes"("Body")->"Vec"', [Request('"Notes"', ("Body",), "Vec")]),
        ('"a""b"."c d"("e;f")', [Request('"a""b"."c d"', ("e;f",))]),
        ("notes(body)->search.notes_vec", [Request("notes", ("body",), "search.notes_vec")]),
        ('notes(body)->"Search".vec', [Request("notes", ("body",), '"Search".vec')]),
        ("\n notes(body);\n\tdocs(text)\n", [Request("notes", ("body",)), Request("docs", ("text",))]),
        ('notes(data.title, data."byName")', [Request("notes", ("data.title", "data.byName"))]),
        ("notes(body) with ()", [Request("notes", ("body",))]),
        (
            "notes(body)->notes_chunks WITH (Chunk_Tokens = 400, model = 'openai/x', metric=l2, fk=TRUE); docs(text)",
            [
                Request(
                    "notes",
                    ("body",),
                    "notes_chunks",
                    Options(None, None, None, 400, None, None, None, "l2", model="openai/x", fk=True),
                ),
                Request("docs", ("text",)),
            ],
        ),
        (
            "notes->vec with (template = '{a}; it''s {b}', filter = 'id > 0'); a.notes with (expression = 'body')",
            [
                Request("notes", (), "vec", Options(template="{a}; it's {b}", filter="id > 0")),
                Request("a.notes", (), None, Options(expression="body")),
            ],
        ),
        ("GRÖßEN(größe$1)", [Request('"grÖßen"', ("größe$1",))]),
        ("größen(größe$1)", [Request('"größen"', ("größe$1",))]),
    ],
)
def test_what_can_be_written(text: str, requests: list[Request]) -> None:
    assert parse(text) == requests


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("notes", "character 6: expected '(', found the end"),
        ("notes()", "character 7: expected a column name, found ')'"),
        ("notes(body", "character 11: expected ')', found the end"),
        ("notes(body,)", "character 12: expected a column name, found ')'"),
        ("(body)", "character 1: expected a table name, found '('"),
        ("a.b.c(body)", "character 4: expected '(', found '.'"),
        ("notes(body) docs(text)", "character 13: expected ';', found 'docs'"),
        ("notes(body)->", "character 14: expected a column or table name, found the end"),
        ("notes(body)=>vec", "character 12: expected ';', found '='"),
        ("notes(body):vec", "found ':'"),
        ("notes(body) with", "character 17: expected '(', found the end"),
        ("notes(body) with (size = 4)", "character 19: expected one of template, expression, filter"),
        ("notes(body) with (replaces = 'a')", "character 19: expected one of template, expression, filter"),
        ("notes(body) with (dimensions)", "character 29: expected '=', found ')'"),
        ("notes(body) with (dimensions = )", "expected a number, a word, or a text in single quotes, found"),
        ("notes(body) with (dimensions = many)", "dimensions = many, which is not a whole number"),
        ("notes(body) with (fk = 1)", "fk = 1, which is not true or false"),
        ("notes(body) with (model = 'a", "expected a number, a word, or a text in single quotes, found"),
        ("notes(body) with (metric = l2", "character 30: expected ')', found the end"),
        ("notes(body) with (metric = l2) x", "character 32: expected ';', found 'x'"),
        ('notes("body)', "found '\"'"),
        ('""(body)', "character 1:"),
        ("1st(body)", "character 1:"),
    ],
)
def test_what_cannot(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(text)
    assert complaint in raised.value.message
    assert "documents(title, content)->embedding" in raised.value.hint


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(table=names, columns=st.lists(names, min_size=1, max_size=3), into=names)
def test_any_name_in_quotes(table: str, columns: list[str], into: str) -> None:
    def quoted(name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    (request,) = parse(f"{quoted(table)}({','.join(map(quoted, columns))})->{quoted(into)}")
    assert request.columns == tuple(columns)
    assert request.into == into
    assert request.table in {table, quoted(table)}


@given(st.text(alphabet='ab".(),;-> \n1é', max_size=20))
def test_any_text_is_read_or_complained_about(text: str) -> None:
    try:
        requests = parse(text)
    except ConfigurationError:
        return
    assert all(request.table and (request.columns or "->" in text) for request in requests)


values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
numbers = st.none() | st.integers(1, 9999)


@given(
    options=st.builds(
        Options,
        template=st.none() | values,
        filter=st.none() | values,
        chunk_tokens=numbers,
        dimensions=numbers,
        metric=st.sampled_from([None, "l2"]),
        fk=st.booleans(),
    ),
    into=st.none() | st.just("vec"),
)
def test_a_request_is_written_as_it_is_read(options: Options, into: str | None) -> None:
    request = Request("notes", ("body",), into, options)
    assert parse(f"{request}; {request}") == [request, request]
