"""The {parts} of statements about one target: its tables, its key in all the forms needed, its source's text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from psycopg import sql

from cdc.store.embeddings import Declaration, KeyColumn, Layout
from cdc.store.queries import compose
from cdc.store.texts import text_of

Verb = Literal[
    "read",
    "write",
    "clear",
    "put_aside",
    "take_back",
    "orphans",
    "stored",
    "guard",
    "try_text",
    "lacking",
    "few",
    "held",
]

_SAME_FOR_BOTH = ("put_aside", "take_back", "try_text", "few", "held")
METRICS: dict[str, str] = {"cosine": "cosine", "inner_product": "ip", "l2": "l2"}
"""What the operator classes of each metric are called by."""

_ALIASES = ("s", "t", "given", "fresh", "standing", "held", "filled")


@lru_cache(maxsize=256)
def statement(verb: Verb, layout: Layout) -> sql.Composed:
    """`sql/queries/embedding/<verb>_<kind of target>.sql` for one target."""
    name = verb if verb in _SAME_FOR_BOTH else f"{verb}_{layout.declaration.target_kind}"
    return compose(f"embedding/{name}", **parts(layout))


def parts(layout: Layout) -> dict[str, sql.Composable]:
    """All parts that statements about one target may have, for those that are composed elsewhere."""
    return {**_tables(layout), **_key(layout.key), **_text(layout.declaration)}


def vector_type(layout: Layout) -> sql.Identifier:
    """The declared type of pgvector, wherever the extension lives."""
    return sql.Identifier(_vector_schema(layout), layout.declaration.vector_type)


def _tables(layout: Layout) -> dict[str, sql.Composable]:
    to = layout.declaration
    schema = _vector_schema(layout)
    return {
        "source": sql.Identifier(to.table_schema, to.table_name),
        "target": sql.Identifier(to.target_schema, to.target_table),
        "column": sql.Identifier(to.target_column),
        "vector": vector_type(layout),
        # What `create index ... using {access} ({column} {opclass})` says.
        "access": sql.Identifier(to.index_type),
        "opclass": sql.Identifier(schema, f"{to.vector_type}_{METRICS[to.metric]}_ops"),
        # The lock that a foreign key's check takes, taken beforehand, so that the check never waits.
        "hold_source": sql.SQL("for key share of s skip locked" if to.fk else ""),
    }


def _vector_schema(layout: Layout) -> str:
    assert layout.vector_schema, "pgvector is installed before a target is made"
    return layout.vector_schema


def _text(declaration: Declaration) -> dict[str, sql.Composable]:
    """The text of row `s`: NULL when there is none. The model is hashed with it: another one's vectors are not ours."""
    return {
        "text": text_of(declaration),
        "model": sql.Literal(_hashed_with(declaration)),
    }


def _hashed_with(declaration: Declaration) -> str:
    """What else decides which vectors a text has: for chunks also how it is split."""
    split = f"{declaration.chunk_tokens}, {declaration.chunk_overlap}\n" if declaration.chunk_tokens else ""
    return f"{declaration.model}\n{split}"


def _key(key: tuple[KeyColumn, ...]) -> dict[str, sql.Composable]:
    """The key of `g` (text[] parameters, cast here), of the `kept` JSON form, and of rows under each alias."""
    names = [sql.Identifier(column.name) for column in key]
    types = [sql.Identifier(column.type_schema, column.type_name) for column in key]
    typed = [sql.SQL("g.{}::{}").format(name, of) for name, of in zip(names, types, strict=True)]
    kept = [sql.SQL("(kept.key::json ->> {})").format(n) for n in range(len(key))]
    parts: dict[str, sql.Composable] = {
        "key": _list(names),
        "arrays": _list([sql.SQL("{}::text[]").format(sql.Placeholder(f"key_{n}")) for n in range(len(key))]),
        "typed_key": _list([sql.SQL("{} as {}").format(part, name) for part, name in zip(typed, names, strict=True)]),
        "json_key": sql.SQL("json_build_array({})::text").format(_list([_as_text(part) for part in typed])),
        "kept_key": _list([sql.SQL("{}::{}").format(part, of) for part, of in zip(kept, types, strict=True)]),
        "kept_key_text": _list(kept),
    }
    for alias in _ALIASES:
        own = [sql.SQL("{}.{}").format(sql.SQL(alias), name) for name in names]
        parts[f"{alias}_key"] = _list(own)
        parts[f"{alias}_key_text"] = _list([_as_text(part) for part in own])
    return parts


def _as_text(part: sql.Composable) -> sql.Composed:
    return sql.SQL("{}::text").format(part)


def _list(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
