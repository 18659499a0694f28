"""Where the chunks of a backfill meet the stream: each stands at the place of the message that announces it.

The method is that of DBLog (Andreakis and Papapanagiotou, arXiv:2010.12597), a chunk between two marks in the log, with
one difference: what of a chunk is out of date is decided by its snapshot, not by the marks (see `tracker`).
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from cdc.events.accept import Also
from cdc.listener.catalog import Catalog
from cdc.listener.tracker import Latest, Snapshot, Tracker, identity
from cdc.lsn import Position
from cdc.store import backfills
from cdc.store.backfills import Backfill
from cdc.store.chunks import Chunk, RawRow
from cdc.store.connect import Connection
from cdc.store.spans import Key, TableLayout
from cdc.wal.relations import Column, Relation
from cdc.wal.rows import Row
from cdc.wal.transactions import Change, Item, Message

PREFIX = "cdc.backfill"
"""Of the logical messages that mark a chunk's place."""

MOST_AGAIN = 10_000
"""Rows that are kept in mind to be read again; beyond, the backfill starts again."""

_BYTEA = 17
_count = struct.Struct(">H").pack
_size = struct.Struct(">I").pack


class Again(NamedTuple):
    """A row to read again; one that was given this key by `moved_by`, once a snapshot sees that."""

    key: Key
    identity: bytes | None = None
    moved_by: int | None = None


class Merged(NamedTuple):
    """What became of a chunk: the rows that were merged, and where the backfill is then.

    A chunk that was `passed` over is read again; `anew`, the backfill begins again.
    """

    rows: list[Latest]
    last_key: Key | None
    again: list[Again]
    done: bool = False
    passed: bool = False
    anew: bool = False


@dataclass(slots=True, eq=False)
class Offer:
    """A mark on its way through the WAL: with a chunk and its `rows`, or, without, that of the beginning."""

    content: bytes
    backfill: Backfill
    layout: TableLayout
    last_key: Key | None
    again: Sequence[Again] = ()
    chunk: Chunk | None = None
    rows: Sequence[Row] = ()
    outcome: Merged | None = None
    answer: asyncio.Future[Merged] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def changes(self, message: Message) -> list[Change]:
        """The merged rows as changes at the place of the message."""
        assert message.header is not None, "the mark is transactional"
        assert self.outcome is not None, "the chunk was looked at"
        commit, ordinal = message.position
        header, relation = message.header, _relation(self.layout)
        return [
            Change(Position(commit, ordinal + 1 + place), header, relation, "backfilled", row.new, None, row.unchanged)
            for place, row in enumerate(self.outcome.rows)
        ]

    def also(self) -> Also:
        """What is written besides the events: how far the backfill is."""
        outcome, id_ = self.outcome, self.backfill.id
        assert outcome is not None, "the chunk was looked at"

        async def write(conn: Connection) -> None:
            again = [row.key for row in outcome.again]
            merged = len(outcome.rows)
            await backfills.advance(
                conn, id_, last_key=outcome.last_key, again=again, merged=merged, done=outcome.done, anew=outcome.anew
            )

        return Also(write, self.backfill.only_function)

    def tell(self) -> None:
        """Let the reader go on: what it offered is durable."""
        if not self.answer.done() and self.outcome is not None:
            self.answer.set_result(self.outcome)


class Merging:
    """Between one reader and one listener. Costs the listener nothing while nothing is offered."""

    def __init__(self) -> None:
        self._tracker: Tracker | None = None
        self._offer: Offer | None = None

    @property
    def is_active(self) -> bool:
        """Whether the stream must be looked at."""
        return self._offer is not None or self._tracker is not None

    def offer(self, offer: Offer) -> None:
        """Announce a mark before it is written into the WAL."""
        self._offer = offer

    def end(self) -> None:
        """Nothing more will be offered of this backfill."""
        self._offer = self._tracker = None

    def look(self, items: Iterable[Item]) -> None:
        """Note what the stream changes in the table, and decide on a chunk where its mark stands."""
        for item in items:
            if isinstance(item, Change):
                if self._tracker is not None and item.relation.oid == self._tracker.oid:
                    self._tracker.note(item)
            elif isinstance(item, Message) and self._is_offered(item):
                self._meet()

    def take(self, message: Message) -> Offer | None:
        """The offer that this message is the mark of; None: it has no rows, or nobody waits for it any more."""
        if not self._is_offered(message):
            return None
        offer, self._offer = self._offer, None
        assert offer is not None, "it is offered"
        if offer.chunk is None:
            offer.tell()
            return None
        return offer

    def _is_offered(self, message: Message) -> bool:
        return message.prefix == PREFIX and self._offer is not None and message.content == self._offer.content

    def _meet(self) -> None:
        offer = self._offer
        assert offer is not None, "it is offered"
        if offer.chunk is None:
            self._tracker = Tracker(offer.layout.oid, offer.layout.key_names)
            offer.outcome = Merged([], offer.last_key, [*offer.again])
        elif self._tracker is not None:
            offer.outcome = _merged(offer, offer.chunk, self._tracker)


def _merged(offer: Offer, chunk: Chunk, tracker: Tracker) -> Merged:
    """Decide on a chunk, all that comes before its mark having been noted."""
    snapshot = Snapshot.parse(chunk.snapshot)
    superseded, moved = tracker.superseded(snapshot), tracker.moved()
    tracker.forget(snapshot)
    moved_keys = [(xid, id_, _key_of(id_, chunk.layout)) for xid, id_ in moved]
    if any(key is None for *_, key in moved_keys) or len(moved) > MOST_AGAIN:
        return Merged([], None, [], passed=True, anew=True)
    arrived = [Again(key, id_, xid) for xid, id_, key in moved_keys if key is not None]
    if superseded is None:
        return Merged([], offer.last_key, [*offer.again, *arrived], passed=True)
    rows, again, met = _sorted_out(chunk, offer.rows, tracker, superseded)
    waiting = [row for row in offer.again if row.moved_by is not None and not snapshot.sees(row.moved_by)]
    again += [row for row in (*waiting, *arrived) if row.identity not in met]
    if len(again) > MOST_AGAIN:
        return Merged([], None, [], passed=True, anew=True)
    tracker.watch(row.identity for row in again if row.identity is not None)
    last_key = _key_text(chunk.rows[-1], chunk.layout.key_places) if chunk.rows else offer.last_key
    return Merged(rows, last_key, again, done=chunk.is_last and not again)


def _sorted_out(
    chunk: Chunk, decoded: Sequence[Row], tracker: Tracker, superseded: set[bytes]
) -> tuple[list[Latest], list[Again], set[bytes | None]]:
    """The rows to merge, those to read again, and the identity of them all.

    A row that was to be read again and has changed again meanwhile stands as the stream last told of it.
    """
    names, places = chunk.layout.key_names, chunk.layout.key_places
    rows: list[Latest] = []
    again: list[Again] = []
    met: set[bytes | None] = set()
    for raw, row in zip((*chunk.again, *chunk.rows), decoded, strict=True):
        id_ = identity(row, names)
        met.add(id_)
        if id_ not in superseded:
            rows.append(Latest(row, ()))
            continue
        latest = tracker.latest(id_)
        if latest is None:
            again.append(Again(_key_text(raw, places), id_))
        elif latest.new is not None:
            rows.append(latest)
    return rows, again, met


async def rows_of(chunk: Chunk, catalog: Catalog) -> list[Row]:
    """All rows of a chunk, by the very decoder of the stream: a row looks the same wherever it comes from."""
    return await catalog.rows(_columns(chunk.layout), [_tuple_data(raw) for raw in (*chunk.again, *chunk.rows)])


def _tuple_data(raw: RawRow) -> bytes:
    """A row as the stream would write it (Postgres docs, Logical Replication Message Formats)."""
    values = [b"n" if value is None else b"t" + _size(len(value)) + value for value in raw]
    return b"".join((_count(len(raw)), *values))


def _relation(layout: TableLayout) -> Relation:
    return Relation(layout.oid, layout.schema, layout.name, layout.replica_identity, _columns(layout))


def _columns(layout: TableLayout) -> tuple[Column, ...]:
    return tuple(Column(name, oid, modifier, name in layout.key_names) for name, oid, modifier in layout.columns)


def _key_text(raw: RawRow, places: Sequence[int]) -> Key:
    """The key as Postgres wrote it."""
    return tuple((raw[place] or b"").decode() for place in places)


def _key_of(id_: bytes, layout: TableLayout) -> Key | None:
    """The key in a form that Postgres reads, from what the stream made of it; None where that has another form."""
    types = [layout.columns[place][1] for place in layout.key_places]
    values = orjson.loads(id_)
    if _BYTEA in types or any(not isinstance(value, str | int | float) for value in values):
        return None
    return tuple(str(value).lower() if isinstance(value, bool) else str(value) for value in values)
