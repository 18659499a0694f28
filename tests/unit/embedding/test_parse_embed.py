"""CDC_EMBED: what can be written, and what is said about the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.embedding.declare import Request, parse
from cdc.errors import ConfigurationError


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
        ("notes(body)=>vec", "character 12: expected a name or one of ( ) , . ; ->, found '='"),
        ("notes(body):vec", "found ':'"),
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
    assert all(request.table and request.columns for request in requests)
