"""Type families of Postgres: what is inserted, as JSON, and the JSON that is to come out of the stream."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import strategies as st

SO = 'it\'s "so", {so} (\\)'
ODD_NAME = 'a "b" (c)'

OWN_TYPES = (
    f"create type mood as enum ('sad', 'happy', '{SO.replace(chr(39), chr(39) * 2)}')",
    "create domain positive as int8 check (value > 0)",
    "create domain amount as numeric(20, 4)",
    "create domain words as text[]",
    "create domain more_words as words",
    'create type part as ("a ""b"" (c)" positive, note text, doc jsonb, price amount, at timestamptz, feeling mood)',
    "create domain checked as part check ((value).note is distinct from 'never')",
    "create type whole as (part checked, parts part[], flags bool[], raw bytea, words more_words)",
)


class Value(NamedTuple):
    """What Postgres is given, as JSON, and what is to come out."""

    given: Any
    expected: Any


Values = st.SearchStrategy[Value]


def _same(values: st.SearchStrategy[Any]) -> Values:
    return values.map(lambda value: Value(value, value))


def _pairs(values: st.SearchStrategy[Any], given: Callable[[Any], Any], expected: Callable[[Any], Any]) -> Values:
    return values.map(lambda value: Value(given(value), expected(value)))


def _integers(bits: int) -> Values:
    return _same(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))


def _lists(values: Values) -> Values:
    """An array of one dimension or of two, NULLs among its elements."""
    items = values | NULLS
    flat = st.lists(items, max_size=4).map(_list)
    grids = st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(items, min_size=width, max_size=width).map(_list), min_size=1, max_size=3)
    )
    return flat | grids.map(_list)


def _list(items: list[Value]) -> Value:
    return Value([item.given for item in items], [item.expected for item in items])


def _objects(**attributes: Values) -> Values:
    parts = st.fixed_dictionaries({name: values | NULLS for name, values in attributes.items()})
    return parts.map(
        lambda parts: Value(
            {name: value.given for name, value in parts.items()},
            {name: value.expected for name, value in parts.items()},
        )
    )


def _without_zeros(moment: str) -> str:
    """As Postgres writes it: without zeros at the end of the fraction."""
    return moment.rstrip("0") if "." in moment else moment


NULLS: Values = st.just(Value(None, None))
BOOLEANS = _same(st.booleans())
LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
ODD_TEXTS = ["", " ", "NULL", "null", '"', '""', "\\", "\\\\", ",", ";", "{}", "{a}", "()", "(,)", "a b", "\t\n", "'"]
TEXTS = _same(st.text(LETTERS, max_size=9) | st.sampled_from(ODD_TEXTS))
_LEAVES = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(LETTERS, max_size=5)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(st.none() | inner, max_size=3) | st.dictionaries(st.text(LETTERS, max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
DOCUMENTS = _same(_JSON)
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["NaN", "Infinity", "-Infinity"])
NUMERICS = st.decimals(Decimal(-(10**30)), 10**30, places=6).map(lambda value: f"{value + 0:f}")
AMOUNTS = _same(st.decimals(-(10**15), 10**15, places=4).map(lambda value: f"{value + 0:f}"))
BYTES = _pairs(st.binary(max_size=9), lambda raw: f"\\x{raw.hex()}", lambda raw: base64.b64encode(raw).decode())
MOODS = _same(st.sampled_from(["sad", "happy", SO]))
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))
ZONED = _pairs(MOMENTS, lambda at: f"{at.isoformat()}Z", lambda at: f"{_without_zeros(at.isoformat())}+00:00")
POSITIVE = _same(st.integers(1, 2**63 - 1))
PARTS = _objects(**{ODD_NAME: POSITIVE}, note=TEXTS, doc=DOCUMENTS, price=AMOUNTS, at=ZONED, feeling=MOODS)

FAMILIES: dict[str, Values] = {
    "int2": _integers(16),
    "int4": _integers(32),
    "int8": _integers(64),
    "oid": _same(st.integers(0, 2**32 - 1)),
    "float4": _same(st.integers(-(2**20), 2**20).map(lambda number: number / 8)),
    "float8": _same(FLOATS),
    "numeric": _same(NUMERICS | st.sampled_from(["NaN", "Infinity", "-Infinity"])),
    "bool": BOOLEANS,
    "text": TEXTS,
    "varchar": TEXTS,
    "bytea": BYTES,
    "uuid": _same(st.uuids().map(str)),
    "date": _same(MOMENTS.map(lambda at: at.date().isoformat())),
    "time": _same(st.times().map(lambda at: _without_zeros(at.isoformat()))),
    "timestamp": _pairs(MOMENTS, datetime.isoformat, lambda at: _without_zeros(at.isoformat())),
    "timestamptz": ZONED,
    "json": DOCUMENTS,
    "jsonb": DOCUMENTS,
    "mood": MOODS,
    "positive": POSITIVE,
    "amount": AMOUNTS,
    "words": _lists(TEXTS),
    "more_words": _lists(TEXTS),
    "part": PARTS,
    "checked": PARTS,
    "whole": _objects(
        part=PARTS, parts=_lists(PARTS), flags=_lists(_same(st.booleans())), raw=BYTES, words=_lists(TEXTS)
    ),
}
"""By type."""

_NO_LISTS = _same(_LEAVES | st.dictionaries(st.text(LETTERS, max_size=5), _JSON, max_size=3))

ARRAYS: dict[str, Values] = {
    f"{name}[]": _lists(_NO_LISTS if name in ("json", "jsonb") else values)
    for name, values in FAMILIES.items()
    if name not in ("words", "more_words")
}
"""Arrays of them. Postgres reads a JSON array in an array as a second dimension, whatever the elements are."""
