"""A run reaches the database that its first event came from."""

from __future__ import annotations

import pytest

from cdc.authoring.event import Event
from cdc.engine.sources import source_of


@pytest.mark.parametrize(
    ("name", "data", "source"),
    [
        ("db/users.inserted", {"source": "crm"}, "crm"),
        ("db/users.inserted", {}, None),
        ("app/order.paid", {"source": "crm"}, None),
        ("inngest/scheduled.timer", {}, None),
    ],
)
def test_the_source_is_that_of_a_row_and_nobody_elses_word(
    name: str, data: dict[str, object], source: str | None
) -> None:
    assert source_of([Event(name, data), Event("db/users.inserted", {"source": "shop"})]) == source
