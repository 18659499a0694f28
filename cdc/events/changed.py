"""Which of the columns that triggers narrow on an update changed. Pure.

A column's value is compared with the one before: that of the old row, where the event has it, else by its hash with the
last value that was seen of that row. A value that was never seen before counts as changed: a function may start once
too often, never too seldom.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any

import orjson

from cdc.store.events import RowChange
from cdc.store.json import document, loads

Key = str
"""Stands for the values of a replica identity's columns, in 32 hexadecimal digits."""

Row = Mapping[str, Any]


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

    def take(self, verb: str, row: RowChange | None) -> frozenset[str] | None:
        """Which columns an update changed; None for other events, and of an update that comes without its row."""
        if row is not None and row.identity != self._last:
            self._identify(row)
        if verb == "backfilled":
            self._backfill(row)
        elif verb == "truncated" or row is None:
            self._forget()
        elif verb == "updated":
            return self._update(row)
        elif verb == "inserted":
            self._keep(key_of(row, row.new), self._hashes(row.new or {}))
        elif key := key_of(row, row.old):
            self._now.pop(key, None)
        return None

    def kept(self) -> dict[Key, str]:
        """The hashes that must be remembered now, of rows where they are new or others than before."""
        known = {} if self.emptied else self._known
        return {key: hashes for key, hashes in self._now.items() if known.get(key) != hashes}

    def gone(self) -> set[Key]:
        """The rows among those known before that must be forgotten; not where all of them must."""
        return set() if self.emptied else self._known.keys() - self._now.keys()

    def _identify(self, row: RowChange) -> None:
        self._last = row.identity
        if self.identity != (told := str(row.identity)):
            self.identity = told
            self._forget()

    def _forget(self) -> None:
        """Nothing is known of any row."""
        self.emptied = True
        self._now.clear()

    def _backfill(self, row: RowChange | None) -> None:
        """A row that was there all the time; what the stream told of it is at least as new."""
        if row is not None and key_of(row, row.new) not in self._now:
            self._keep(key_of(row, row.new), self._hashes(row.new or {}))

    def _update(self, row: RowChange) -> frozenset[str]:
        new, old = row.new or {}, row.old or {}
        after = key_of(row, {**old, **new})
        before = key_of(row, old) or after
        known = loads(self._now.pop(before, "{}")) if before else {}
        hashes = self._hashes(new)
        changed = {
            column
            for column, digest in hashes.items()
            if digest != (_digest(old[column]) if column in old else known.get(column))
        }
        if len(hashes) < len(self._columns):
            absent = set(self._columns) - hashes.keys()
            self.missing |= absent.difference(row.unchanged)
            hashes |= {column: known[column] for column in absent.intersection(row.unchanged, known)}
        self._keep(after, hashes)
        return frozenset(changed)

    def _hashes(self, new: Row) -> dict[str, str]:
        return {column: _digest(new[column]) for column in self._columns if column in new}

    def _keep(self, key: Key | None, hashes: Mapping[str, str]) -> None:
        if key is not None:
            self._now[key] = orjson.dumps(hashes, option=orjson.OPT_SORT_KEYS).decode()


def key_of(row: RowChange, values: Row | None) -> Key | None:
    """The key of these values, None where they do not tell: a full row has no key, it is its own old row."""
    _, replica_identity, columns = row.identity
    if replica_identity == "f" or not columns or values is None or not values.keys() >= set(columns):
        return None
    return blake2b(_encoded([values[column] for column in columns]), digest_size=16).hexdigest()


def needed(verb: str, row: RowChange | None) -> Key | None:
    """The key of the row whose hashes must be known to judge this event."""
    if row is None or verb in ("inserted", "truncated"):
        return None
    new, old = row.new or {}, row.old or {}
    return key_of(row, old) or key_of(row, {**old, **new})


def _digest(value: Any) -> str:
    return blake2b(_encoded(value), digest_size=8).hexdigest()


def _encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        return document(value).encode()
