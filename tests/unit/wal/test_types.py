from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.lsn import Position
from cdc.wal.transactions import Change, Item, Transactions
from cdc.wal.types import Array, Composite, Domain, Scalar, Shape, Types, TypesWanted
from tests.unit.wal import wire

START = Position(0, -1)
PAIR, MOOD = 20_000, 20_001
TABLE = wire.table("t", id=20, pair=PAIR, mood=MOOD)
PLAIN = wire.table("u", oid=16_500, id=20)
SHAPES: dict[int, Shape] = {PAIR: Composite((("a", 23), ("b", 25))), MOOD: Scalar()}
STREAM = [
    wire.begin(100),
    wire.relation(PLAIN),
    wire.insert(PLAIN.oid, ["1"]),
    wire.relation(TABLE),
    wire.insert(TABLE.oid, ["2", "(1,x)", "sad"]),
    wire.insert(TABLE.oid, ["3", "(1,x,new)", "sad"]),
    wire.insert(PLAIN.oid, ["4"]),
    wire.commit(100),
]


def rows(items: list[Item]) -> list[object]:
    return [item.new for item in items if isinstance(item, Change)]


def test_the_stream_stops_before_a_table_whose_types_are_not_known_and_loses_nothing() -> None:
    transactions = Transactions(START, Types(open=True))
    assert rows(transactions.feed(STREAM)) == [{"id": 1}]
    assert transactions.wanted == {PAIR, MOOD}
    assert rows(transactions.feed(())) == []  # nothing was learned

    transactions.learn(transactions.types.learned(SHAPES))
    assert rows(transactions.feed(())) == [{"id": 2, "pair": {"a": 1, "b": "x"}, "mood": "sad"}]
    assert transactions.wanted == {PAIR}

    altered = Composite((("a", 23), ("b", 25), ("c", 25)))
    transactions.learn(transactions.types.learned({PAIR: altered}))
    first, second = rows(transactions.feed(()))
    assert first == {"id": 3, "pair": {"a": 1, "b": "x", "c": "new"}, "mood": "sad"}
    assert second == {"id": 4}
    assert not transactions.wanted


def test_a_value_that_fits_no_better_when_its_type_was_read_again_is_text_and_asked_for_no_more() -> None:
    transactions = Transactions(START, Types(open=True).learned(SHAPES))
    transactions.feed(STREAM)
    transactions.learn(transactions.types.learned({PAIR: SHAPES[PAIR]}))
    first, _ = rows(transactions.feed(()))
    assert first == {"id": 3, "pair": "(1,x,new)", "mood": "sad"}
    again = [wire.begin(200), wire.insert(TABLE.oid, ["5", "(1)", "sad"]), wire.commit(200)]
    assert rows(transactions.feed(again)) == [{"id": 5, "pair": "(1)", "mood": "sad"}]
    assert not transactions.wanted


@given(st.lists(st.integers(0, len(STREAM))))
def test_it_does_not_matter_where_the_stream_is_cut(cuts: list[int]) -> None:
    transactions = Transactions(START, Types(open=True))
    items: list[Item] = []
    edges = [0, *sorted(cuts), len(STREAM)]
    for start, end in itertools.pairwise(edges):
        items += transactions.feed(STREAM[start:end])
        while transactions.wanted:
            shapes = {oid: SHAPES[oid] for oid in transactions.wanted}
            transactions.learn(transactions.types.learned(shapes))
            items += transactions.feed(())
    assert [row and row["id"] for row in rows(items) if isinstance(row, dict)] == [1, 2, 3, 4]


def test_types_that_are_not_open_ask_for_nothing() -> None:
    for types in (Types(), Types(SHAPES)):
        types.demand([PAIR, 30_000])
        types.doubt(PAIR)
    assert rows(Transactions(START).feed(STREAM))[1] == {"id": 2, "pair": "(1,x)", "mood": "sad"}


def test_built_in_types_are_never_asked_for() -> None:
    Types(open=True).demand([16, 1007, 9999])
    with pytest.raises(TypesWanted) as wanted:
        Types(open=True).demand([16, 10_000])
    assert wanted.value.oids == {10_000}


def test_doubt_reaches_the_composites_that_a_type_is_made_of() -> None:
    shapes: dict[int, Shape] = {
        1 << 20: Array(1 << 21),
        1 << 21: Domain(1 << 22),
        1 << 22: Composite((("inner", PAIR), ("back", 1 << 20))),
        **SHAPES,
    }
    types = Types(open=True).learned(shapes)
    with pytest.raises(TypesWanted) as wanted:
        types.doubt(1 << 20)
    assert wanted.value.oids == {1 << 22, PAIR}
    types.doubt(MOOD)
    types.learned({1 << 22: shapes[1 << 22], PAIR: SHAPES[PAIR]}).doubt(1 << 20)


def test_what_is_renewed_is_doubted_again_and_stays_itself_if_nothing_changed() -> None:
    types = Types(open=True).learned(SHAPES)
    assert types.renewed(SHAPES) is types
    settled = types.learned({PAIR: SHAPES[PAIR]})
    settled.doubt(PAIR)
    with pytest.raises(TypesWanted):
        settled.renewed(SHAPES).doubt(PAIR)
    assert types.renewed({PAIR: Composite(())}).shape(PAIR) == Composite(())
