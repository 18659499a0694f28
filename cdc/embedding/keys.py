"""The keys of the rows that an event speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cdc.authoring.event import Event
from cdc.store.vectors import Key


def touched(event: Event, names: Sequence[str]) -> list[Key]:
    """The keys of the row after the change and before it; empty when the event carries none, as for a truncate.

    `old` has the key only if it changed or the row was deleted, `new` all but values that were not sent again.
    """
    old = event.data.get("old") or {}
    new = event.data.get("new") or {}
    return [key for key in dict.fromkeys((_key({**old, **new}, names), _key(old, names))) if key is not None]


def _key(row: Mapping[str, Any], names: Sequence[str]) -> Key | None:
    values = [row.get(name) for name in names]
    return None if None in values else tuple(_text(value) for value in values)


def _text(value: Any) -> str:
    """A value of an event as SQL reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
