"""How the embeddings of a database stand: what `cdc embed status`, the API and pages show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cdc.errors import CdcError
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.store import ai_calls, backfills, chunks, embeddings, indexes, lives, refused
from cdc.store.ai_calls import Spent
from cdc.store.backfills import Declared, Table
from cdc.store.connect import Connection
from cdc.store.embeddings import Declaration, Layout
from cdc.store.failures import ConnectionTrouble, StatementFailed
from cdc.store.indexes import Progress
from cdc.store.lives import Life
from cdc.store.names import table_of

EXACT = 100_000
"""Rows of a table up to which they are counted; of larger ones the server's estimates are told."""

_PENDING = 1_000
"""Rows without a vector that are counted one by one."""


@dataclass(frozen=True, slots=True)
class Counts:
    """`rows` of the table, how many of them are `embedded`, `vectors` (of chunks: more), and `pending`: rows that
    should have a vector and have none yet. Estimates unless `exact`.
    """

    rows: int
    embedded: int
    vectors: int
    pending: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Filling:
    """The backfill of a declaration. `rate`: rows a second since it began; `seconds_left`: at that rate."""

    status: str
    rows: int
    expected: int | None
    rate: float | None
    seconds_left: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How one declaration stands. What could not be found out is None."""

    declaration: Declaration
    life: Life
    counts: Counts | None
    put_aside: int
    filling: Filling | None
    index: Progress | None
    spent: Spent | None

    def as_json(self) -> dict[str, Any]:
        """For the API and for pipes."""
        to, life, index, spent = self.declaration, self.life, self.index, self.spent
        built = None if index is None else {"phase": index.phase, "share": index.share}
        return {
            "id": to.id,
            "table": to.source,
            "target": to.target,
            "kind": to.target_kind,
            "columns": list(to.columns),
            "model": to.model,
            "dimensions": to.dimensions,
            "vector_type": to.vector_type,
            "metric": to.metric,
            "state": life.state,
            "replaces": to.replaces,
            "problem": to.problem,
            "counts": None if self.counts is None else _fields(self.counts),
            "put_aside": self.put_aside,
            "backfill": None if self.filling is None else _fields(self.filling),
            "index": {"type": to.index_type, "state": life.index_state, "reason": life.index_reason, "progress": built},
            "tokens": None if spent is None else spent.tokens,
            "cost": None if spent is None else "unknown" if spent.cost is None else str(spent.cost),
        }


async def standing(databases: Databases, source: str, table: Table | None = None) -> list[Standing]:
    """How the declarations of one source stand, or those of one (schema, table).

    Raises:
        DatabaseUnreachable, DatabaseRefused: the watched database cannot be asked. Of the state's, less is told.
    """
    filling, spent = await _of_state(databases, source)
    async with await databases.to_watched() as conn:
        layouts = await embeddings.layouts(conn, table)
        now, aside, built = await lives.lives(conn), await refused.counts(conn), await indexes.progress(conn)
        return [
            Standing(
                each.declaration,
                now[each.declaration.id],
                await _counts(conn, each, aside.get(each.declaration.id, 0)),
                aside.get(each.declaration.id, 0),
                _filling(filling.get(each.declaration.id)),
                _built(each.declaration, built),
                _spent(each.declaration, spent),
            )
            for each in layouts
            if each.declaration.id in now
        ]


async def of_all(databases: Databases, sources: Sequence[Named], table: str | None = None) -> list[dict[str, Any]]:
    """How the embeddings of all sources stand, those of one table on demand. One that cannot be asked says so."""
    named = table_of(table) if table else None
    found: list[dict[str, Any]] = []
    for source in sources:
        try:
            standings = await standing(databases.watching(source), source.name, named)
        except (StatementFailed, CdcError) as error:
            found.append({"source": source.name, "problem": str(error).strip()})
        else:
            found += [{"source": source.name, **each.as_json()} for each in standings]
    return found


async def _of_state(databases: Databases, source: str) -> tuple[Mapping[int, Declared], Sequence[Spent]]:
    """Backfills and costs; nothing when the state cannot be asked or is not there yet."""
    try:
        async with await databases.to_state() as state:
            return await backfills.of_declared(state, source), await ai_calls.spent(state)
    except (StatementFailed, CdcError):
        return {}, ()


async def _counts(conn: Connection, layout: Layout, aside: int) -> Counts | None:
    to = layout.declaration
    if to.prepared_at is None or layout.vector_schema is None:
        return None
    try:
        rows = await chunks.estimate(conn, (to.table_schema, to.table_name), counted=EXACT)
        if rows >= EXACT:
            vectors = await chunks.estimate(conn, (to.target_schema, to.target_table), counted=EXACT)
            embedded = min(rows, vectors)
            return Counts(rows, embedded, vectors, max(0, rows - embedded - aside), exact=False)
        embedded, vectors = await indexes.held(conn, layout)
        pending = len(await indexes.lacking(conn, layout, _PENDING))
        more = max(0, rows - embedded - aside) if pending == _PENDING else 0
        return Counts(rows, embedded, vectors, max(pending, more), exact=pending < _PENDING)
    except ConnectionTrouble:
        raise
    except (StatementFailed, CdcError):
        return None


def _filling(backfill: Declared | None) -> Filling | None:
    if backfill is None:
        return None
    rate = left = None
    if backfill.started_at is not None:
        seconds = ((backfill.ended_at or datetime.now(UTC)) - backfill.started_at).total_seconds()
        rate = backfill.rows_done / seconds if seconds > 0 and backfill.rows_done else None
    if rate and backfill.status == "running" and backfill.rows_expected is not None:
        left = max(0, backfill.rows_expected - backfill.rows_done) / rate
    return Filling(backfill.status, backfill.rows_done, backfill.rows_expected, rate, left, backfill.reason)


def _built(declaration: Declaration, built: Sequence[Progress]) -> Progress | None:
    place = declaration.target_schema, declaration.target_table
    return next((each for each in built if (each.schema, each.table) == place), None)


def _spent(declaration: Declaration, spent: Sequence[Spent]) -> Spent | None:
    """What its model cost: of all declarations with the same one together."""
    name = (declaration.model or "").partition("@")[0]
    return next((each for each in spent if name in (each.model, f"{each.provider}/{each.model}")), None)


def _fields(of: Counts | Filling) -> dict[str, Any]:
    return {name: getattr(of, name) for name in of.__slots__}
