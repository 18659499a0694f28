"""What a service has stored, read over a connection of the test's own."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.servers import Connection
from tests.waiting import eventually

USERS = "create table users (id bigint generated always as identity primary key, name text)"


class Run(NamedTuple):
    id: str
    function: str
    status: str
    output: Any


async def runs(conn: Connection) -> list[Run]:
    """All runs, oldest first."""
    cursor = await conn.execute("select id::text, function_id, status, output from cdc_state.runs order by id")
    return [Run(*row) for row in await cursor.fetchall()]


async def completed(conn: Connection, count: int = 1, *, within: float = 60.0) -> list[Run]:
    """The runs, once there are as many and all are completed."""

    async def are() -> list[Run]:
        found = await runs(conn)
        return found if [run.status for run in found] == ["completed"] * count else []

    return await eventually(are, within=within, what=f"{count} runs are completed")


async def status_is(conn: Connection, status: str) -> None:
    """Wait until the only run has this status."""

    async def is_so() -> bool:
        return [run.status for run in await runs(conn)] == [status]

    await eventually(is_so, what=f"the run is {status}")


async def workers(conn: Connection) -> list[int]:
    """The process ids of the workers that hold a lease."""
    return [pid for (pid,) in await (await conn.execute("select pid from cdc_state.workers order by id")).fetchall()]


async def is_backfilled(conn: Connection) -> None:
    """Wait until the rows that embedded tables had at first are read: from now on only changes start auto-embed."""

    async def is_done() -> bool:
        cursor = await conn.execute("select distinct status from cdc_state.backfills")
        return await cursor.fetchall() == [("done",)]

    await eventually(is_done, what="the first rows are read")


async def drop_slots(conn: Connection) -> None:
    """Drop the database's slots, once the server has noticed that their reader is gone."""

    async def are_dropped() -> bool:
        cursor = await conn.execute(
            "select active, case when not active then pg_drop_replication_slot(slot_name) end"
            " from pg_replication_slots where database = current_database()"
        )
        return not any(active for active, _ in await cursor.fetchall())

    await eventually(are_dropped, what="the slots are dropped")


async def slots_are_free(conn: Connection) -> None:
    """Wait until nobody reads from the database's slots: a walsender that stood still outlives its service."""

    async def are_free() -> bool:
        query = "select from pg_replication_slots where database = current_database() and active"
        return not (await conn.execute(query)).rowcount

    await eventually(are_free, what="the slots are free")


async def published(conn: Connection) -> list[str]:
    """The tables of the publication."""
    cursor = await conn.execute("select tablename::text from pg_publication_tables where pubname = 'cdc' order by 1")
    return [table for (table,) in await cursor.fetchall()]


async def follows(conn: Connection, table: str) -> None:
    """Wait until the table is published."""

    async def is_published() -> bool:
        return table in await published(conn)

    await eventually(is_published, what=f"{table} is published")
