"""Judges the updates of tables that triggers narrow on columns, beside what the database remembers of their rows.

Hashes belong to one incarnation of a source and to one identity of a table: a table made anew, with another replica
identity, or that no trigger narrowed meanwhile, is a new one of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import structlog

from cdc.authoring.triggers import VERBS, event_name
from cdc.events.changed import Key, Rows, needed
from cdc.events.match import Changed, Registry, Table
from cdc.store import row_hashes
from cdc.store.connect import Connection
from cdc.store.events import Incoming, RowChange
from cdc.store.row_hashes import Known

log = structlog.get_logger(__name__)

_VERBS = dict.fromkeys((*VERBS, "backfilled"))


class _RowEvent(NamedTuple):
    id: bytes
    table: Table
    verb: str
    row: RowChange | None


class Narrowing:
    """What the listener of one source knows of its tables.

    Everything is written in the transaction that accepts the events, by the one listener that holds the checkpoint.
    """

    def __init__(self) -> None:
        self._kept: frozenset[Table] | None = None
        self._keeping: frozenset[Table] | None = None
        self._told: set[tuple[Table, str]] = set()

    def settled(self) -> None:
        """The transaction of the last `judge` was committed."""
        self._kept = self._keeping

    async def judge(
        self, conn: Connection, registry: Registry, incoming: Sequence[Incoming], source_id: int
    ) -> Changed:
        """Which columns the updates among these changed; remembers their rows in the caller's transaction.

        Call `settled` once that is committed.
        """
        tables = frozenset(registry.narrowed)
        self._keeping = tables
        if tables != self._kept:
            self._kept = None
            await row_hashes.keep_tables(conn, source_id, tables)
        events = list(_row_events(registry, incoming))
        return await self._judge(conn, registry, events, source_id) if events else {}

    async def _judge(
        self, conn: Connection, registry: Registry, events: Sequence[_RowEvent], source_id: int
    ) -> Changed:
        keys = {event.table: set[Key]() for event in events}
        for event in events:
            if key := needed(event.verb, event.row):
                keys[event.table].add(key)
        known = await row_hashes.known(conn, source_id, keys)
        changed: dict[bytes, frozenset[str]] = {}
        after: dict[Table, tuple[Known, Rows]] = {}
        for table, group in groupby(sorted(events, key=lambda event: event.table), key=lambda event: event.table):
            rows = Rows(registry.narrowed[table], known[table].identity, known[table].hashes)
            for event in group:
                columns = rows.take(event.verb, event.row)
                if columns is not None:
                    changed[event.id] = columns
            after[table] = known[table], rows
            self._tell(table, rows.missing)
        await _write(conn, source_id, after)
        return changed

    def _tell(self, table: Table, missing: set[str]) -> None:
        """Say once of each column that is not there: no update will start what is narrowed on it."""
        for column in sorted(missing):
            if (table, column) not in self._told:
                self._told.add((table, column))
                log.warning("a trigger narrows on a column that is not published", table=".".join(table), column=column)


def _row_events(registry: Registry, incoming: Sequence[Incoming]) -> Iterator[_RowEvent]:
    """The events of tables that are narrowed."""
    kinds = {event_name(*table, verb): (table, verb) for table in registry.narrowed for verb in _VERBS}
    if not kinds.keys().isdisjoint({event.name for event in incoming}):
        for event in incoming:
            if kind := kinds.get(event.name):
                yield _RowEvent(event.id, *kind, event.row)


async def _write(conn: Connection, source_id: int, after: dict[Table, tuple[Known, Rows]]) -> None:
    emptied = {table: rows.identity for table, (known, rows) in after.items() if rows.emptied or known.id is None}
    renewed = await row_hashes.renew_tables(conn, source_id, emptied) if emptied else {}
    kept: list[tuple[int, Key, str]] = []
    gone: list[tuple[int, Key]] = []
    for table, (known, rows) in after.items():
        id_ = renewed.get(table, known.id)
        assert id_ is not None, "a table that is not known is renewed"
        kept += [(id_, key, hashes) for key, hashes in rows.kept().items()]
        gone += [(id_, key) for key in rows.gone()]
    if gone:
        await row_hashes.drop(conn, gone)
    if kept:
        await row_hashes.keep(conn, kept)
