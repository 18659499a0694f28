"""What an event of a table says of its row, column by column."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.web.pages import rowchange


def states(data: dict[str, Any], verb: str = "updated") -> list[tuple[str, str]]:
    found = rowchange.read(f"db/users.{verb}", data)
    assert found is not None
    return [(column.name, column.state) for column in found.columns]


def test_an_update_with_the_whole_old_row_tells_what_changed_after_the_key() -> None:
    data = {"new": {"id": 1, "name": "A", "age": 3}, "old": {"id": 1, "name": "A", "age": 2}, "unchanged": []}
    assert states(data) == [("id", "same"), ("age", "changed"), ("name", "same")]


def test_an_update_of_the_key_has_the_old_key_alone() -> None:
    data = {"new": {"name": "A", "id": 2}, "old": {"id": 1}, "unchanged": []}
    assert states(data) == [("id", "changed"), ("name", "new")]


def test_a_column_that_was_not_sent_is_not_told_to_be_null() -> None:
    data = {"new": {"id": 1}, "old": None, "unchanged": ["body"]}
    assert states(data) == [("id", "new"), ("body", "unsent")]


def test_a_deleted_row_is_what_was_known_of_it() -> None:
    found = rowchange.read("db/app.users.deleted", {"new": None, "old": {"id": 7}, "unchanged": [], "lsn": "0/1"})
    assert found is not None
    assert (found.verb, found.table, found.facts) == ("deleted", "app.users", {"lsn": "0/1"})
    assert [(column.name, column.old) for column in found.columns] == [("id", 7)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("app/order.made", {"new": {"id": 1}}),
        ("db/users.truncated", {"new": None, "old": None, "unchanged": []}),
        ("db/users.inserted", {"new": "text"}),
        ("db/users.inserted", {"new": {"id": 1}, "unchanged": 7}),
        ("db/users.inserted", [1]),
    ],
)
def test_other_events_are_no_change_of_a_row(name: str, data: Any) -> None:
    assert rowchange.read(name, data) is None
