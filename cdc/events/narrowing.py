"""Judges the updates of tables that triggers narrow on columns, beside what the database remembers of their rows.

Hashes belong to one incarnation of a source and to one identity of a table: a table made anew, with another replica
identity, or that no trigger narrowed meanwhile, is a new one of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import structlog

from cdc.authoring.triggers import VERBS, event_name
from cdc.events.changed import Key, Rows, Seen
from cdc.events.match import Changed, Registry, Table
from cdc.store import row_hashes
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.row_hashes import Known

log = structlog.get_logger(__name__)


class _RowEvent(NamedTuple):
    id: bytes
    table: Table
    seen: Seen


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
        changed: dict[bytes, frozenset[str]] = {}
        after: dict[Table, tuple[Known, Rows]] = {}
        for table, group in _by_table(events).items():
            keys = {key for event in group if (key := event.seen.needed)}
            known = await row_hashes.known(conn, source_id, table, keys)
            rows = Rows(registry.narrowed[table], known.identity, known.hashes)
            for event in group:
                columns = rows.take(event.seen)
                if columns is not None:
                    changed[event.id] = columns
            after[table] = known, rows
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
    kinds = {event_name(*table, verb): (table, verb) for table in registry.narrowed for verb in VERBS}
    if not kinds.keys().isdisjoint({event.name for event in incoming}):
        for event in incoming:
            if kind := kinds.get(event.name):
                table, verb = kind
                yield _RowEvent(event.id, table, Seen.of(verb, event.row))


def _by_table(events: Iterable[_RowEvent]) -> dict[Table, list[_RowEvent]]:
    found: dict[Table, list[_RowEvent]] = {}
    for event in events:
        found.setdefault(event.table, []).append(event)
    return found


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
