"""Tables that functions name and that do not exist: one that is in some source is missed in none."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import reduce

from cdc.events.match import Table


class Absences:
    """What each source lacks; None: it was not looked at yet."""

    def __init__(self) -> None:
        self._absent: dict[str, frozenset[Table] | None] = {}

    def expect(self, source: str) -> None:
        """Say nothing of absences before this source was looked at, or `forget` says that it cannot be."""
        self._absent[source] = None

    def forget(self, source: str) -> None:
        """This source says nothing of what exists."""
        self._absent.pop(source, None)

    def note(self, source: str, absent: AbstractSet[Table]) -> frozenset[Table]:
        """A source lacks these tables; returns those that are in no source."""
        self._absent[source] = frozenset(absent)
        known = [tables for tables in self._absent.values() if tables is not None]
        return reduce(frozenset.intersection, known) if len(known) == len(self._absent) else frozenset()
