from __future__ import annotations

from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ProtocolError
from cdc.wal.relations import Column
from cdc.wal.rows import compile_row
from tests.unit.wal.wire import NULL, UNCHANGED, Cell, tuple_data

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=63)
HOSTILE = [
    '"',
    "'",
    "'''",
    '"""',
    "\\",
    "\\'",
    "\n",
    "\r\n",
    "{}",
    "{0}",
    "%s",
    "row",
    "data",
    "__import__('os').abort()",
    "'); __import__('os').abort(); ('",
    "'] = 1; raise SystemExit; row['",
    "名前",
    "\u2028",
    "\x85",
    "\U0001f4a5",
    "None",
]


class Case(NamedTuple):
    """A column, what is sent for it, and what shall come out (`...` for nothing)."""

    type_oid: int
    cell: Cell
    value: Any


def cases() -> st.SearchStrategy[Case]:
    integers = st.integers(-(2**63), 2**63 - 1).map(lambda number: Case(20, str(number), number))
    booleans = st.booleans().map(lambda value: Case(16, "t" if value else "f", value))
    texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map(
        lambda text: Case(25, text, text)
    )
    unknown = st.integers(100_000, 2**32 - 1).map(lambda oid: Case(oid, "(1,2)", "(1,2)"))
    documents = st.lists(st.integers(0, 9)).map(lambda numbers: Case(3802, str(numbers), orjson.Fragment(str(numbers))))
    nulls = st.sampled_from([16, 20, 25, 1184, 3802, 77777]).map(lambda oid: Case(oid, NULL, None))
    unsent = st.sampled_from([25, 3802, 77777]).map(lambda oid: Case(oid, UNCHANGED, ...))
    return st.one_of(integers, booleans, texts, unknown, documents, nulls, unsent)


@st.composite
def tuples(draw: st.DrawFn) -> tuple[list[str], list[Case]]:
    sent = draw(st.lists(cases(), max_size=12))
    names = st.lists(st.one_of(NAMES, st.sampled_from(HOSTILE)), min_size=len(sent), max_size=len(sent), unique=True)
    return draw(names), sent


@given(tuples(), st.binary(max_size=9), st.binary(max_size=9))
def test_a_decoder_gives_back_what_was_encoded(row: tuple[list[str], list[Case]], before: bytes, after: bytes) -> None:
    names, sent = row
    decode = compile_row(
        tuple(Column(name, case.type_oid, -1, key=False) for name, case in zip(names, sent, strict=True))
    )
    data = tuple_data([case.cell for case in sent])

    values, unchanged, end = decode(before + data + after, len(before))

    expected = {name: case.value for name, case in zip(names, sent, strict=True) if case.value is not ...}
    assert orjson.dumps(values) == orjson.dumps(expected)
    assert unchanged == tuple(name for name, case in zip(names, sent, strict=True) if case.cell is UNCHANGED)
    assert end == len(before) + len(data)


@given(tuples())
def test_every_truncated_row_is_a_protocol_error(row: tuple[list[str], list[Case]]) -> None:
    names, sent = row
    decode = compile_row(
        tuple(Column(name, case.type_oid, -1, key=False) for name, case in zip(names, sent, strict=True))
    )
    data = tuple_data([case.cell for case in sent])
    for size in range(len(data)):
        with pytest.raises(ProtocolError):
            decode(data[:size], 0)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_column_name_is_data_whatever_it_looks_like(name: str) -> None:
    columns = (
        Column(name, 25, -1, key=True),
        Column(name + "'", 20, -1, key=False),
        Column(name + '"', 25, -1, key=False),
    )
    row, unchanged, _ = compile_row(columns)(tuple_data(["a", "1", UNCHANGED]), 0)
    assert row == {name: "a", name + "'": 1}
    assert unchanged == (name + '"',)


def test_equal_columns_share_a_decoder_and_others_do_not() -> None:
    def columns(name: str, type_oid: int) -> tuple[Column, ...]:
        return (Column(name, type_oid, -1, key=True),)

    assert compile_row(columns("id", 20)) is compile_row(columns("id", 20))
    assert compile_row(columns("id", 20)) is not compile_row(columns("id", 25))
    assert compile_row(columns("id", 20)) is not compile_row(columns("no", 20))


def test_a_row_may_have_no_columns_and_as_many_as_postgres_allows() -> None:
    assert compile_row(())(tuple_data([]), 0) == ({}, (), 2)
    columns = tuple(Column(f"c{i}", 23, -1, key=False) for i in range(1600))
    row, _, _ = compile_row(columns)(tuple_data([str(i) for i in range(1600)]), 0)
    assert row == {f"c{i}": i for i in range(1600)}


@pytest.mark.parametrize(
    "data",
    [
        tuple_data([]),
        tuple_data(["1", "2"]),
        tuple_data(["x"]),
        b"\0\1b\0\0\0\x041234",
        b"\0\1t\xff\xff\xff\xff1",
        b"\0\1t\x7f\xff\xff\xff1",
    ],
    ids=["no column", "too many columns", "not an integer", "binary form", "negative size", "huge size"],
)
def test_a_malformed_row_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        compile_row((Column("id", 23, -1, key=True),))(data, 0)
