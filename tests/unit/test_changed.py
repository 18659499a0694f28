"""Which columns changed, against a plain model of a table and of what was seen of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.events.changed import Rows, Seen
from cdc.store.events import RowChange

DEFAULT = (1, "d", ("id",))
FULL = (1, "f", ("id", "a", "b", "c"))

COLUMNS = ("a", "b")
"""Those that are narrowed on; `c` is another."""

keys = st.integers(0, 2)
values = st.sampled_from([None, 0, 1, "1", 1.5, 1 << 70, True])
rows = st.fixed_dictionaries({"a": values, "b": values, "c": values})
operations = st.one_of(
    st.tuples(st.just("write"), keys, rows, st.sets(st.sampled_from("abc"))),
    st.tuples(st.just("rewrite"), keys, st.sampled_from("abc"), values),
    st.tuples(st.just("move"), keys, keys),
    st.tuples(st.just("delete"), keys),
    st.tuples(st.just("truncate")),
    st.tuples(st.just("backfill"), keys),
    st.tuples(st.just("commit")),
)


@dataclass
class Table:
    """A table, the events of its rows, and which updates must be told to have changed what."""

    identity: tuple[int, str, tuple[str, ...]]
    rows: dict[int, dict[str, Any]]
    seen: set[tuple[int, str]] = field(default_factory=set)

    def apply(self, operation: Any) -> tuple[str, RowChange | None, frozenset[str] | None] | None:
        """What the operation amounts to: verb, row and verdict; nothing if it cannot be done."""
        match operation:
            case ("write", key, values, untouched) if key in self.rows:
                old = self.rows[key]
                same = tuple(column for column in untouched if repr(old[column]) == repr(values[column]))
                return self._update(key, key, {**values}, same)
            case ("write", key, values, _):
                self.rows[key] = {**values}
                self.seen |= {(key, column) for column in COLUMNS}
                return "inserted", self._row(key, None), None
            case ("rewrite", key, column, value) if key in self.rows:
                return self._update(key, key, {**self.rows[key], column: value}, ())
            case ("move", key, to) if key in self.rows and to not in self.rows:
                return self._update(key, to, self.rows[key], ())
            case ("delete", key) if key in self.rows:
                old = self.rows.pop(key)
                self.seen -= {(key, column) for column in COLUMNS}
                given = {"id": key, **old} if self.identity == FULL else {"id": key}
                return "deleted", RowChange(self.identity, None, given, ()), None
            case ("truncate",):
                self.rows, self.seen = {}, set()
                return "truncated", RowChange(self.identity, None, None, ()), None
            case ("backfill", key) if key in self.rows:
                self.seen |= {(key, column) for column in COLUMNS if not {(key, each) for each in COLUMNS} & self.seen}
                return "backfilled", self._row(key, None), None
        return None

    def _row(self, key: int, old: dict[str, Any] | None, unchanged: tuple[str, ...] = ()) -> RowChange:
        new = {"id": key, **self.rows[key]}
        return RowChange(self.identity, {c: v for c, v in new.items() if c not in unchanged}, old, unchanged)

    def _update(
        self, key: int, to: int, values: dict[str, Any], unchanged: tuple[str, ...]
    ) -> tuple[str, RowChange, frozenset[str]]:
        old = self.rows.pop(key)
        known = {column for column in COLUMNS if self.identity == FULL or (key, column) in self.seen}
        changed = {c for c in COLUMNS if repr(old[c]) != repr(values[c]) or (c not in known and c not in unchanged)}
        self.seen -= {(key, column) for column in COLUMNS}
        self.seen |= {(to, column) for column in COLUMNS if column in known or column not in unchanged}
        self.rows[to] = {**values}
        given = {"id": key, **old} if self.identity == FULL else {"id": key} if key != to else None
        return "updated", self._row(to, given, unchanged), frozenset(changed)


@given(
    st.sampled_from([DEFAULT, FULL]),
    st.dictionaries(keys, rows),
    st.lists(operations, max_size=40),
)
def test_a_column_changed_if_its_value_is_another_one_or_was_never_seen(
    identity: tuple[int, str, tuple[str, ...]], rows: dict[int, dict[str, Any]], operations: list[Any]
) -> None:
    table, stored, told = Table(identity, {key: {**row} for key, row in rows.items()}), dict[str, str](), ""
    batches: list[list[Any]] = [[]]
    for operation in operations:
        if operation == ("commit",):
            batches.append([])
        elif event := table.apply(operation):
            batches[-1].append(event)
    for batch in batches:
        wanted = {Seen.of(verb, row).needed for verb, row, _ in batch}
        judging = Rows(COLUMNS, told, {key: hashes for key, hashes in stored.items() if key in wanted})
        assert [judging.take(Seen.of(verb, row)) for verb, row, _ in batch] == [verdict for _, _, verdict in batch]
        told = judging.identity
        if judging.emptied:
            stored.clear()
        for key in judging.gone():
            del stored[key]
        stored |= judging.kept()
        assert not judging.missing
    assert not (stored and identity == FULL)
    assert len(stored) <= len(table.rows)


def updated(new: dict[str, Any], unchanged: tuple[str, ...] = (), identity: Any = DEFAULT) -> RowChange:
    return RowChange(identity, {"id": 1, **new}, None, unchanged)


def judged(*taken: tuple[str, RowChange | None], columns: tuple[str, ...] = ("a",)) -> list[frozenset[str] | None]:
    rows = Rows(columns, "", {})
    return [rows.take(Seen.of(verb, row)) for verb, row in taken]


def test_a_value_that_is_put_back_changed_twice() -> None:
    there, elsewhere = updated({"a": 1}), updated({"a": 2})
    changed = judged(("inserted", there), ("updated", elsewhere), ("updated", there), ("updated", there))
    assert changed == [None, {"a"}, {"a"}, frozenset()]


def test_a_json_document_is_compared_as_it_is_written() -> None:
    first, same, other = (updated({"a": orjson.Fragment(text)}) for text in (b'{"x": 1}', b'{"x": 1}', b'{"x":1}'))
    assert judged(("inserted", first), ("updated", same), ("updated", other)) == [None, frozenset(), {"a"}]


def test_a_column_that_is_not_there_never_changed_and_is_named() -> None:
    rows = Rows(("a", "nowhere"), "", {})
    assert rows.take(Seen.of("updated", updated({"a": 1}))) == frozenset({"a"})
    assert rows.take(Seen.of("updated", updated({}, ("a",)))) == frozenset()
    assert rows.missing == {"nowhere"}
    assert rows.take(Seen.of("updated", updated({"a": 1}))) == frozenset(), (
        "what is known outlives an update that leaves it"
    )


@pytest.mark.parametrize(
    "identity",
    [(2, "d", ("id",)), (1, "i", ("id",)), (1, "d", ("id", "b")), FULL],
    ids=["table", "index", "key", "full"],
)
def test_with_another_identity_nothing_is_known(identity: Any) -> None:
    values = {"a": 1, "b": 1}
    first, other = updated(values), updated(values, identity=identity)
    changed = judged(("inserted", first), ("updated", other), ("updated", first), ("updated", first))
    assert changed == [None, {"a"}, {"a"}, frozenset()]


def test_a_row_that_is_the_same_after_a_truncate_is_remembered_anew() -> None:
    first = Rows(("a",), "", {})
    first.take(Seen.of("inserted", updated({"a": 1})))
    second = Rows(("a",), first.identity, first.kept())
    for verb in ("truncated", "inserted"):
        second.take(Seen.of(verb, updated({"a": 1})))
    assert second.emptied
    assert second.kept() == first.kept()


def test_an_update_without_its_row_is_not_judged_and_nothing_known_outlives_it() -> None:
    row = updated({"a": 1})
    assert judged(("inserted", row), ("updated", None), ("updated", row)) == [None, None, {"a"}]


@pytest.mark.parametrize("backfilled", [None, updated({"a": 1}, identity=(1, "d", ())), updated({"a": 2})])
def test_a_backfilled_row_takes_nothing_from_what_is_known(backfilled: RowChange | None) -> None:
    row = updated({"a": 1})
    assert judged(("inserted", row), ("backfilled", backfilled), ("updated", row)) == [None, None, frozenset()]


def test_a_backfilled_row_is_seen_from_then_on() -> None:
    row = updated({"a": 1})
    assert judged(("backfilled", row), ("updated", row)) == [None, frozenset()]


def test_a_table_without_identity_has_no_rows_to_remember() -> None:
    rows = Rows(("a",), "", {})
    assert rows.take(Seen.of("inserted", updated({"a": 1}, identity=(1, "n", ())))) is None
    assert rows.take(Seen.of("updated", updated({"a": 1}, identity=(1, "n", ())))) == frozenset({"a"})
    assert rows.kept() == {}


def test_a_key_that_was_not_sent_is_that_of_the_old_row() -> None:
    identity = (1, "d", ("id", "big"))
    rows = Rows(("a",), "", {})
    rows.take(Seen.of("inserted", RowChange(identity, {"id": 1, "big": "x", "a": 1}, None, ())))
    row = RowChange(identity, {"id": 1, "a": 1}, {"id": 1, "big": "x"}, ("big",))
    assert rows.take(Seen.of("updated", row)) == frozenset()
