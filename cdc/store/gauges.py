"""What is measured once a minute: lag, queues, slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cdc.store.arrays import plain, quoted
from cdc.store.connect import Connection
from cdc.store.queries import text
from cdc.store.runs import COUNTED, counts

KINDS = {
    "lag_bytes": "WAL that a source has and that is not accepted yet, by source",
    "lag_seconds": "age of the oldest commit that is not accepted yet, by source",
    "retained_bytes": "WAL that a source's server keeps for the slot, by source",
    "slot_lost": "1 where the server has invalidated the slot, else 0, by source",
    "runs": "unfinished runs, by status (`held`: they stand at a limit or are paused); each is counted to 10,000",
    "queue_age": "seconds that the oldest run which is due has waited for a worker",
    "inferences": "calls of models that runs wait for; counted to 10,000",
    "gaps": "windows in which changes were lost that are still open",
    "forward_waiting": "row events that wait to be sent on to a cluster, by source; counted to 10,000",
    "forward_age": "seconds that the oldest of them has waited, by source",
    "connections": "connections to the state database, of all",
    "backlog": "rows that should have a vector and have none yet, by source and target",
    "put_aside": "rows with a text that was put aside, by source and target",
}
"""All that is measured, and by what name ('' where there is one only)."""


class Measured(NamedTuple):
    """The last value, `age` seconds old."""

    what: str
    name: str
    value: float
    age: float


class Value(NamedTuple):
    """A value to keep."""

    what: str
    name: str
    value: float


async def measure(conn: Connection) -> list[Value]:
    """What there is now in the state: runs, queue, inferences, gaps, connections."""
    found = [Value(*row) for row in await (await conn.execute(text("gauges/measure"), {"limit": COUNTED})).fetchall()]
    return [*found, *(Value("runs", status, number) for status, number in (await counts(conn)).items())]


async def keep(conn: Connection, values: Sequence[Value]) -> None:
    """Keep these values as those of this minute."""
    if values:
        whats, names, numbers = zip(*values, strict=True)
        parameters = {"whats": plain(whats), "names": quoted(names), "values": plain(numbers)}
        await conn.execute(text("gauges/set"), parameters)


async def latest(conn: Connection) -> list[Measured]:
    """What was measured in the last minutes, each by its last value."""
    return [Measured(*row) for row in await (await conn.execute(text("gauges/latest"))).fetchall()]


async def prune(conn: Connection, limit: int, *, minutes: float, hours: float) -> int:
    """Delete up to `limit` values of minutes and hours that are so many seconds old; how many."""
    parameters = {"limit": limit, "minutes": minutes, "hours": hours}
    return (await conn.execute(text("gauges/prune"), parameters)).rowcount
