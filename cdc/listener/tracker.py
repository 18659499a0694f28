"""What the stream changes in a table while its existing rows are read: which rows of a chunk are out of date.

A chunk is read under a snapshot and stands in the stream at the place of a message that is committed after the read.
Before that place, the stream may already have changes that the snapshot does not show: rows with these keys are out of
date there. Positions alone cannot tell, since a commit is in the WAL a moment before others see it; the snapshot's own
list of transactions can.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from cdc.wal.rows import Row
from cdc.wal.transactions import Change

MOST = 100_000
"""Changed keys that are remembered; beyond, every row of a chunk counts as out of date, and it is read again."""

_HALF = 1 << 31
_WHOLE = 1 << 32


class Snapshot(NamedTuple):
    """Which transactions have an effect on what was read (Postgres docs, table 9.82: pg_snapshot)."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Snapshot:
        """Read Postgres's own form, `10:20:10,14,15`."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(xid) for xid in running.split(",") if xid))

    def sees(self, xid: int) -> bool:
        """Whether it sees the effect of a transaction that has committed; of `xid` the lower 32 bits, as in the WAL."""
        whole = self.xmax + (xid - self.xmax + _HALF) % _WHOLE - _HALF
        return whole < self.xmin or (whole < self.xmax and whole not in self.running)


class Latest(NamedTuple):
    """A row as the stream last told of it; None: it is gone."""

    new: Row | None
    unchanged: tuple[str, ...]


def identity(row: Row, names: Iterable[str]) -> bytes | None:
    """What tells a row from others, the same for a row that was read and one from the stream; None without its key."""
    try:
        return orjson.dumps([row[name] for name in names])
    except KeyError:
        return None


class Tracker:
    """The keys of one table that the stream changes, by transaction, until a snapshot sees that.

    `watched` are keys whose latest row is kept besides.
    """

    def __init__(self, oid: int, key: tuple[str, ...], most: int = MOST) -> None:
        self.oid = oid
        self._key = key
        self._most = most
        self._count = 0
        self._changed: dict[int, set[bytes]] = {}
        self._moved: dict[int, list[bytes]] = {}
        self._everything: set[int] = set()
        self._latest: dict[bytes, Latest | None] = {}

    def watch(self, keys: Iterable[bytes]) -> None:
        """Keep the latest row of these keys from now on, and of no others."""
        self._latest = {key: self._latest.get(key) for key in keys}

    def latest(self, key: bytes) -> Latest | None:
        """The latest row of a watched key; None: the stream did not tell of it."""
        return self._latest.get(key)

    def note(self, change: Change) -> None:
        """Take a change of the table into account."""
        xid, new = change.header.xid, change.new
        after = None if new is None else identity({**(change.old or {}), **new}, self._key)
        before = None if change.old is None else identity(change.old, self._key)
        if after is None and (new is not None or before is None):  # a truncate, or a row without its key
            self._everything.add(xid)
            self._latest = {key: Latest(None, ()) for key in self._latest}
            return
        if before is not None and before != after:
            self._remember(xid, before, Latest(None, ()))
        if after is not None:
            self._remember(xid, after, Latest(new, change.unchanged))
            if before not in (None, after):
                self._moved.setdefault(xid, []).append(after)

    def superseded(self, snapshot: Snapshot) -> set[bytes] | None:
        """The keys changed so far whose change this snapshot does not see; None: that may be any."""
        if any(not snapshot.sees(xid) for xid in self._everything):
            return None
        return set().union(*(keys for xid, keys in self._changed.items() if not snapshot.sees(xid)))

    def moved(self) -> list[tuple[int, bytes]]:
        """The keys that rows were given since the last call, with the transactions that did so."""
        moved, self._moved = self._moved, {}
        return [(xid, key) for xid, keys in moved.items() for key in keys]

    def forget(self, snapshot: Snapshot) -> None:
        """Forget the transactions that this snapshot sees: all later ones do, too."""
        self._everything = {xid for xid in self._everything if not snapshot.sees(xid)}
        self._changed = {xid: keys for xid, keys in self._changed.items() if not snapshot.sees(xid)}
        self._count = sum(map(len, self._changed.values()))

    def _remember(self, xid: int, key: bytes, latest: Latest) -> None:
        if key in self._latest:
            self._latest[key] = latest
        if xid in self._everything:
            return
        keys = self._changed.setdefault(xid, set())
        keys.add(key)
        self._count += 1
        if self._count > self._most:
            self._everything.update(self._changed)
            self._changed, self._count = {}, 0
