"""Which of the columns that triggers narrow on an update changed. Pure.

A column's value is compared with the one before: that of the old row, where the event has it, else by its hash with the
last value that was seen of that row. A value that was never seen before counts as changed: a function may start once
too often, never too seldom.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from cdc.store.events import RowChange
from cdc.store.json import document, loads

Key = str
"""Stands for the values of a replica identity's columns, in 32 hexadecimal digits."""

Row = Mapping[str, Any]


class Seen(NamedTuple):
    """A row event that is to be judged, with the keys of its row before and after; `row` is None if it was not kept."""

    verb: str
    row: RowChange | None
    before: Key | None
    after: Key | None

    @classmethod
    def of(cls, verb: str, row: RowChange | None) -> Seen:
        """Of a full row there is no key: it is its own old row. Nor is there one of values that do not tell."""
        if row is None or row.identity[1] == "f" or not row.identity[2]:
            return cls(verb, row, None, None)
        new, old, columns = row.new, row.old, row.identity[2]
        after = None if new is None else _key(columns, {**old, **new} if old else new)
        return cls(verb, row, _key(columns, old) if old else after, after)

    @property
    def needed(self) -> Key | None:
        """The row whose hashes must be known to judge it."""
        return None if self.verb in ("inserted", "truncated") else self.before


class Rows:
    """What is known of one table's rows, by their keys, while its events are judged in their order.

    `known` are the hashes of each row, as JSON. `identity` is that of the last event; with another all is forgotten.
    `emptied` is set once nothing that was known before holds any more. `missing` are columns that were looked for in
    rows that have none of that name.
    """

    def __init__(self, columns: Collection[str], identity: str, known: Mapping[Key, str]) -> None:
        self._columns = sorted(columns)
        self._last: tuple[object, ...] = ()
        self._known = known
        self._now = dict(known)
        self.identity = identity
        self.emptied = False
        self.missing: set[str] = set()

    def take(self, seen: Seen) -> frozenset[str] | None:
        """Which columns an update changed; None for other events, and of an update that comes without its row."""
        verb, row, before, after = seen
        if verb == "backfilled":
            self._backfill(row, after)
            return None
        if row is not None and row.identity != self._last:
            self._identify(row)
        if verb == "truncated" or row is None:
            self._forget()
        elif verb == "updated":
            return self._update(row, before, after)
        elif verb == "inserted":
            self._keep(after, self._hashes(row.new or {}))
        else:
            self._now.pop(before or "", None)
        return None

    def kept(self) -> dict[Key, str]:
        """The hashes that must be remembered now, of rows where they are new or others than before."""
        known = {} if self.emptied else self._known
        return {key: hashes for key, hashes in self._now.items() if known.get(key) != hashes}

    def gone(self) -> set[Key]:
        """The rows among those known before that must be forgotten; not where all of them must."""
        return set() if self.emptied else self._known.keys() - self._now.keys()

    def _backfill(self, row: RowChange | None, key: Key | None) -> None:
        """A row that was there before. What the stream told of it is at least as new, and the stream has the last word
        on the identity.
        """
        if row is None or key is None:
            return
        if not self.identity:
            self._identify(row)
        if self.identity == str(row.identity) and key not in self._now:
            self._keep(key, self._hashes(row.new or {}))

    def _identify(self, row: RowChange) -> None:
        self._last = row.identity
        if self.identity != (told := str(row.identity)):
            self.identity = told
            self._forget()

    def _forget(self) -> None:
        """Nothing is known of any row."""
        self.emptied = True
        self._now.clear()

    def _update(self, row: RowChange, before: Key | None, after: Key | None) -> frozenset[str]:
        new, old = row.new or {}, row.old or {}
        hashes = self._hashes(new)
        if not old and before is not None and self._now.get(before) == _stored(hashes):
            self._look_for_missing(row, hashes)
            return _NOTHING
        known = loads(self._now.pop(before, "{}")) if before else {}
        changed = frozenset(
            column
            for column, digest in hashes.items()
            if digest != (_digest(old[column]) if column in old else known.get(column))
        )
        self._look_for_missing(row, hashes)
        self._keep(after, {**{column: known[column] for column in row.unchanged if column in known}, **hashes})
        return changed

    def _look_for_missing(self, row: RowChange, hashes: Mapping[str, str]) -> None:
        if len(hashes) < len(self._columns):
            self.missing |= set(self._columns).difference(hashes, row.unchanged)

    def _hashes(self, new: Row) -> dict[str, str]:
        return {column: _digest(new[column]) for column in self._columns if column in new}

    def _keep(self, key: Key | None, hashes: Mapping[str, str]) -> None:
        if key is not None:
            self._now[key] = _stored(hashes)


_NOTHING: frozenset[str] = frozenset()


def _key(columns: Sequence[str], values: Row) -> Key | None:
    try:
        return blake2b(_encoded([values[column] for column in columns]), digest_size=16).hexdigest()
    except KeyError:
        return None


def _digest(value: Any) -> str:
    return blake2b(_encoded(value), digest_size=8).hexdigest()


def _stored(hashes: Mapping[str, str]) -> str:
    return orjson.dumps(hashes, option=orjson.OPT_SORT_KEYS).decode()


def _encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        return document(value).encode()
