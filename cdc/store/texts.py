"""The text of a row in SQL: what columns, a template or an expression make of row `s`, where the filter lets it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import LiteralString

from psycopg import sql

from cdc.store.embeddings import Declaration

_PIECES = re.compile(r"(\{\{|\}\}|\{[^{}]+\})")
_BRACES = {"{{": "{", "}}": "}"}


def text_of(declaration: Declaration) -> sql.Composable:
    """The text of row `s`; NULL when it has none, or does not meet the filter."""
    if declaration.filter is None:
        return _text(declaration)
    allowed = _over_row(declaration, declaration.filter, "")
    return sql.SQL("case when {} then {} end").format(allowed, _text(declaration))


def fields(declaration: Declaration) -> list[sql.Composable]:
    """The columns, and the values at paths into json columns, that the text of row `s` is made from; as text."""
    return [_field(name, declaration.reads) for name in declaration.columns]


def _text(declaration: Declaration) -> sql.Composable:
    if declaration.expression is not None:
        return sql.SQL("nullif({}, '')").format(_over_row(declaration, declaration.expression, "::text"))
    filled = sql.SQL(", ").join(sql.SQL("nullif({}, '')").format(field) for field in fields(declaration))
    if declaration.template is None:
        return sql.SQL("nullif(concat_ws(E'\\n\\n', {}), '')").format(filled)
    pieces = sql.SQL(" || ").join(_pieces(declaration.template, declaration.reads))
    return sql.SQL("case when coalesce({}) is not null then {} end").format(filled, pieces)


def _pieces(template: str, reads: tuple[str, ...]) -> Iterator[sql.Composable]:
    """What a template is joined from. That its braces match has been seen to by `cdc.embed()`."""
    for piece in filter(None, _PIECES.split(template)):
        if piece.startswith("{") and piece not in _BRACES:
            yield sql.SQL("coalesce({}, '')").format(_field(piece[1:-1], reads))
        else:
            yield sql.Literal(_escaped(_BRACES.get(piece, piece)))


def _field(name: str, reads: tuple[str, ...]) -> sql.Composable:
    """A name with a dot is a path, unless a column is called so."""
    column, *path = [name] if name in reads else name.split(".")
    value = sql.SQL("s.{}").format(sql.Identifier(_escaped(column)))
    if not path:
        return sql.SQL("{}::text").format(value)
    keys = sql.SQL(", ").join(sql.Literal(_escaped(key)) for key in path)
    return sql.SQL("({} operator(pg_catalog.#>>) array[{}])").format(value, keys)


def _over_row(declaration: Declaration, code: str, cast: LiteralString) -> sql.Composable:
    """SQL of the user's own, which sees the columns that it reads and, before them, no name of the statement's.

    On lines of its own: it may end in a comment.
    """
    row = sql.SQL(", ").join(sql.SQL("s.{}").format(sql.Identifier(_escaped(name))) for name in declaration.reads)
    own = sql.SQL(_escaped(code))
    return sql.SQL("(select (\n{}\n){} from (select {}) cdc_row)").format(own, sql.SQL(cast), row)


def _escaped(words: str) -> str:
    """For a statement that has parameters."""
    return words.replace("%", "%%")
