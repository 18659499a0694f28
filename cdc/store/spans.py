"""The statements that read existing rows in the order of their key: which rows, compared and written how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple

from psycopg import sql

from cdc.store.queries import compose

Key = tuple[str, ...]
"""The columns of a row's key, each as Postgres writes it."""


class KeyColumn(NamedTuple):
    """One column of the key that rows are read by; without a collation for types that have none."""

    name: str
    type_schema: str
    type_name: str
    collation_schema: str | None
    collation: str | None


@dataclass(frozen=True, slots=True)
class TableLayout:
    """What is read of a table: what the publication shows of it. `columns` are name, type and type modifier."""

    oid: int
    schema: str
    name: str
    replica_identity: str
    columns: tuple[tuple[str, int, int], ...]
    key: tuple[KeyColumn, ...]
    filter: str | None
    published: bool

    @property
    def key_names(self) -> tuple[str, ...]:
        """Names of the key's columns."""
        return tuple(column.name for column in self.key)

    @property
    def key_places(self) -> tuple[int, ...]:
        """Where the key's columns stand among the columns."""
        names = [name for name, *_ in self.columns]
        return tuple(names.index(name) for name in self.key_names)


class Span(NamedTuple):
    """What is left to read: the rows after a key (None: from the start) up to and with another."""

    after: Key | None
    until: Key


def next_rows(layout: TableLayout, span: Span) -> sql.Composed:
    """Declares the cursor `chunk` for the rows of a span; parameters are `most` and those of `values`."""
    within = _compared(layout, "<=", "until")
    if span.after is not None:
        within = sql.SQL("{} and {}").format(_compared(layout, ">", "after"), within)
    return compose("chunks/declare", within=within, key=_key(layout), **_parts(layout))


def once_more(layout: TableLayout, span: Span) -> sql.Composed:
    """Rows by their keys, as far as they stand outside of the span; parameters are those of `values`."""
    places = range(len(layout.key))
    names = [sql.Identifier(f"again_{place}") for place in places]
    casts = [_cast(column, sql.SQL("again.{}").format(name)) for column, name in zip(layout.key, names, strict=True)]
    outside = _compared(layout, ">", "until")
    if span.after is not None:
        outside = sql.SQL("({} or {})").format(_compared(layout, "<=", "after"), outside)
    return compose(
        "chunks/again",
        arrays=_list([sql.SQL("{}::text[]").format(sql.Placeholder(f"again_{place}")) for place in places]),
        names=_list(names),
        same=sql.SQL("({}) = ({})").format(_key(layout), _list(casts)),
        outside=outside,
        **_parts(layout),
    )


def greatest(layout: TableLayout) -> sql.Composed:
    """The greatest key, as text."""
    names = [sql.SQL("s.{}").format(sql.Identifier(name)) for name in layout.key_names]
    parts = _parts(layout)
    return compose(
        "chunks/last",
        key_text=_list([sql.SQL("{}::text").format(name) for name in names]),
        key_down=_list([sql.SQL("{} desc").format(name) for name in names]),
        table=parts["table"],
        filter=parts["filter"],
    )


def values(span: Span, again: Sequence[Key] = ()) -> dict[str, Any]:
    """The parameters of the statements above."""
    ends = (("after", span.after or ()), ("until", span.until))
    given: dict[str, Any] = {f"{end}_{place}": value for end, key in ends for place, value in enumerate(key)}
    return given | {f"again_{place}": list(column) for place, column in enumerate(zip(*again, strict=True))}


def _parts(layout: TableLayout) -> dict[str, sql.Composable]:
    names = [sql.SQL("s.{}").format(sql.Identifier(name)) for name, *_ in layout.columns]
    return {
        "columns": _list(names),
        "table": sql.Identifier(layout.schema, layout.name),
        # As the publication has it, written by the server itself.
        "filter": sql.SQL("({})").format(_Expression(layout.filter)) if layout.filter else sql.SQL("true"),
    }


class _Expression(sql.Composable):
    """SQL that the server wrote; a `%` in it is no placeholder."""

    def as_bytes(self, context: Any = None) -> bytes:
        return str(self._obj).replace("%", "%%").encode()


def _key(layout: TableLayout) -> sql.Composed:
    return _list([sql.SQL("s.{}").format(sql.Identifier(name)) for name in layout.key_names])


def _compared(layout: TableLayout, operator: LiteralString, end: LiteralString) -> sql.Composed:
    """The key and one end of the span."""
    given = [_cast(column, sql.Placeholder(f"{end}_{place}")) for place, column in enumerate(layout.key)]
    return sql.SQL("({}) {} ({})").format(_key(layout), sql.SQL(operator), _list(given))


def _cast(column: KeyColumn, value: sql.Composable) -> sql.Composed:
    """A value given as text; compared as the column itself is."""
    cast = sql.SQL("{}::{}").format(value, sql.Identifier(column.type_schema, column.type_name))
    if column.collation is None or column.collation_schema is None:
        return cast
    return sql.SQL("{} collate {}").format(cast, sql.Identifier(column.collation_schema, column.collation))


def _list(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
