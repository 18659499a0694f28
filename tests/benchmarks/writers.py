"""What a table's writers pay for being watched: the same statements on a table that is, and on one that is not.

The server itself says what a statement took, its COMMIT included (log_statement_stats: CPU of this backend, and the
time that went by), so that no other process counts. A watched table's rows are embedded, by a provider on loopback;
the next statement waits until the service has nothing left to do.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from psycopg import AsyncConnection

from tests.benchmarks.embed import embedded, provider_beside
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Database, Ground
from tests.benchmarks.service import service
from tests.benchmarks.texts import TABLE as MARKED
from tests.servers import Connection

UNWATCHED, WATCHED = "unwatched", "watched"
STATEMENTS = {
    "insert": "insert into {table} select n, 'a title', 0, repeat(md5(n::text), 32) from generate_series(1, {count}) n",
    "update of another column": "update {table} set views = views + 1",
    "update of the text": "update {table} set body = repeat(md5(body), 32)",
    "delete": "delete from {table}",
}
TABLE = "create table {table} (id bigint primary key, title text, views int not null default 0, body text not null)"

_GOAL = 1.1
"""Nothing measurable: what two unwatched tables may differ by."""

_ROUNDS = 7
_TELL = "set log_statement_stats = on; set client_min_messages = log; set log_min_messages = fatal"
_TOOK = re.compile(r"([\d.]+) s user, ([\d.]+) s system, ([\d.]+) s elapsed")
_MARKS = "notes_embeddings"
_IDLE = "select not exists (select from cdc_state.runs where status in ('queued', 'running', 'sleeping'))"


class Cost(NamedTuple):
    """Microseconds a row: CPU of the writer's backend, and how long the writer waited."""

    cpu: float
    waited: float


Costs = Mapping[str, Mapping[str, list[Cost]]]
"""Of each statement on each table, one for each round."""


async def measure(ground: Ground) -> list[Figure]:
    """Statements of 5,000 rows of about 1 kB."""
    async with ground.database() as db:
        await db.run(TABLE.format(table=UNWATCHED))
        async with watching(db):
            return figures(await costs(ground, db, [UNWATCHED, WATCHED]))


@asynccontextmanager
async def watching(db: Database) -> AsyncIterator[None]:
    """The service, with a watched table whose rows it embeds."""
    await db.run(TABLE.format(table=WATCHED), MARKED)
    async with provider_beside() as provider:
        embedding = {"OPENAI_BASE_URL": provider, "OPENAI_API_KEY": "any", "CDC_EMBED": f"{WATCHED}(body); notes(body)"}
        async with service(db.url, **embedding):
            yield


async def costs(ground: Ground, db: Database, tables: Sequence[str]) -> Costs:
    """Run each statement on each table, by turns."""
    count, rounds = ground.size(5_000, 200), ground.size(_ROUNDS, 1)
    taken: Costs = {statement: {table: [] for table in tables} for statement in STATEMENTS}
    async with await AsyncConnection.connect(db.url, autocommit=True, prepare_threshold=None) as writer:
        await writer.execute(_TELL)
        for turn in range(rounds):
            order = [*tables[turn % len(tables) :], *tables[: turn % len(tables)]]
            for statement, text in STATEMENTS.items():
                for table in order:
                    taken[statement][table].append(await _cost(writer, text.format(table=table, count=count), count))
                    await embedded(db, _MARKS, 1)  # in the order of commits, so all before it is known, too
                    await db.until(_IDLE)
    return taken


def figures(taken: Costs) -> list[Figure]:
    """The least of the rounds, since neighbours can only add to what a statement takes, and ratios of those."""
    return [figure for statement in taken for figure in _figures(statement, taken[statement])]


async def _cost(writer: Connection, statement: str, count: int) -> Cost:
    """What the server says of a statement."""
    told: list[str] = []
    writer.add_notice_handler(note := lambda diagnostic: told.append(diagnostic.message_detail or ""))
    await writer.execute(statement.encode())
    writer.remove_notice_handler(note)
    (took,) = [found for detail in told if (found := _TOOK.search(detail))]
    user, system, elapsed = map(float, took.groups())
    return Cost((user + system) * 1e6 / count, elapsed * 1e6 / count)


def _figures(statement: str, of_tables: Mapping[str, list[Cost]]) -> list[Figure]:
    least = {table: Cost(*map(min, zip(*rounds, strict=True))) for table, rounds in of_tables.items()}
    found = []
    for table, cost in least.items():
        found.append(Figure(f"{statement}, {table}, CPU", cost.cpu, "us/row"))
        found.append(Figure(f"{statement}, {table}, waited", cost.waited, "us/row"))
    for table in [name for name in least if name != UNWATCHED]:
        ratio = least[table].cpu / least[UNWATCHED].cpu
        goal = _GOAL if table == WATCHED else None
        found.append(Figure(f"{statement}, {table} to {UNWATCHED}, CPU", ratio, "times", at_most=goal))
    return found
