"""What a chunk's snapshot makes of the changes around it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.listener.tracker import Snapshot, Tracker
from cdc.lsn import Position
from cdc.wal.relations import Relation
from cdc.wal.transactions import Change, Header

RELATION = Relation(1, "public", "t", "d", ())
XIDS = st.integers(3, 2**40)


def change(xid: int, new: dict[str, Any] | None, old: dict[str, Any] | None = None) -> Change:
    header = Header(1, 0, xid & 0xFFFFFFFF)
    return Change(Position(1, 0), header, RELATION, "updated", new, old, ())


@given(XIDS, st.sets(st.integers(0, 1000)), st.integers(-1000, 2000))
def test_the_lower_half_of_a_transaction_id_is_enough(xmin: int, running: set[int], other: int) -> None:
    xmax = xmin + 1001
    among = sorted(xmin + each for each in running)
    snapshot = Snapshot.parse(f"{xmin}:{xmax}:{','.join(map(str, among))}")
    xid = xmin + other
    expected = xid < xmin or (xid < xmax and xid not in among)
    assert snapshot.sees(xid % 2**32) == expected


@pytest.mark.parametrize("text", ["10:10:", "10:20:10,14,15"])
def test_postgres_s_own_form(text: str) -> None:
    snapshot = Snapshot.parse(text)
    assert snapshot.sees(9)
    assert not snapshot.sees(20)
    assert snapshot.sees(11) == (text != "10:10:")


def test_changes_that_a_snapshot_sees_are_forgotten() -> None:
    tracker = Tracker(1, ("id",))
    tracker.note(change(5, {"id": 1}))
    tracker.note(change(7, {"id": 2}, {"id": 3}))
    first = Snapshot.parse("6:6:")
    assert tracker.superseded(first) == {b"[2]", b"[3]"}
    tracker.forget(first)
    assert tracker.superseded(Snapshot.parse("3:3:")) == {b"[2]", b"[3]"}
    assert tracker.moved() == [(7, b"[2]")]
    assert tracker.moved() == []


@pytest.mark.parametrize("row", [None, {"other": 1}], ids=["a truncate", "a row without its key"])
def test_a_change_that_names_no_row_is_one_of_all(row: dict[str, Any] | None) -> None:
    tracker = Tracker(1, ("id",))
    tracker.note(change(5, row))
    assert tracker.superseded(Snapshot.parse("5:5:")) is None
    assert tracker.superseded(Snapshot.parse("6:6:")) == set()


def test_no_more_keys_are_remembered_than_it_may() -> None:
    tracker = Tracker(1, ("id",), most=10)
    for id_ in range(10):
        tracker.note(change(5, {"id": id_}))
    assert tracker.superseded(Snapshot.parse("5:5:")) == {b"[%d]" % id_ for id_ in range(10)}
    tracker.note(change(6, {"id": 10}))
    assert tracker.superseded(Snapshot.parse("6:6:")) is None
    tracker.forget(Snapshot.parse("7:7:"))
    assert tracker.superseded(Snapshot.parse("5:5:")) == set()
