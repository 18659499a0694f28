"""A state database, and what the tests put into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import uuid_utils

from cdc import Batch, function
from cdc.authoring.function import FlowControl
from cdc.events import ids
from cdc.events.accept import Door
from cdc.lsn import Position
from cdc.store import checkpoints, functions, json, workers
from cdc.store.checkpoints import Checkpoint
from cdc.store.events import Incoming, NewRun, insert_runs
from tests.servers import Connect, Connection
from tests.waiting import eventually


def change(source_id: int, lsn: int, ordinal: int = 0, **new: Any) -> Incoming:
    """The event of an inserted user."""
    position = Position(lsn, ordinal)
    data = orjson.dumps({"new": new, "old": None, "unchanged": []})
    return Incoming(ids.of_position(source_id, position), "db/users.inserted", 1_750_000_000_000_000, data, position)


def definition(id: str, on: str = "db/users.inserted", *, batch: int | None = None) -> dict[str, Any]:
    """A function as the registry stores it."""

    options: FlowControl = {"batch_events": Batch(batch)} if batch else {}

    @function(id, on=on, **options)
    async def handler(ctx: object) -> None: ...

    return handler.definition()


@dataclass
class State:
    """A connection to a state database, and shorthands for looking at it."""

    url: str
    connection: Connection
    connect: Connect

    async def rows(self, query: str, *values: object) -> Sequence[tuple[Any, ...]]:
        return await (await self.connection.execute(query.encode(), values or None)).fetchall()

    async def one(self, query: str, *values: object) -> Any:
        (row,) = await self.rows(query, *values)
        return row[0]

    async def counts(self) -> tuple[int, int, int]:
        """How many events, runs and rejected events there are."""
        ((events, runs, rejected),) = await self.rows(
            "select (select count(*) from cdc_state.events), (select count(*) from cdc_state.runs),"
            " (select count(*) from cdc_state.rejected_events)"
        )
        return events, runs, rejected

    async def source(self, name: str = "default") -> Checkpoint:
        """The checkpoint of a source that was opened just now, taken over."""
        await checkpoints.open_source(
            self.connection, name, system_identifier="1", timeline=1, slot=f"slot_{name}", start=100
        )
        return await checkpoints.take_over(self.connection, await self.checkpoint(name))

    async def checkpoint(self, name: str = "default") -> Checkpoint:
        known = await checkpoints.current(self.connection, name)
        assert known is not None
        return known[1]

    async def door(self) -> Door:
        return Door(await self.connect(self.url))

    async def worker(self, *functions_: str, lease: float = 60.0) -> int:
        return await workers.register(self.connection, host="here", pid=1, functions=functions_, lease=lease)

    async def register(self, *definitions: dict[str, Any]) -> None:
        await self.worker(*(definition["id"] for definition in definitions))
        await functions.register(self.connection, definitions)

    async def queue(self, count: int, function_id: str = "greet") -> list[str]:
        """Runs that are due, in the order of their ids."""
        runs = [NewRun(uuid_utils.uuid7().bytes, function_id, [bytes(16)]) for _ in range(count)]
        await insert_runs(self.connection, runs)
        return [str(UUID(bytes=run.id)) for run in runs]

    async def statuses(self) -> dict[str, tuple[str, int | None]]:
        """Status and worker of each run."""
        found = await self.rows("select id::text, status, worker_id from cdc_state.runs")
        return {id_: (status, worker) for id_, status, worker in found}

    async def waits_for_a_lock(self, connection: Connection) -> None:
        """Returns once what that connection executes waits for a lock."""
        query = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"

        async def waits() -> bool:
            return bool(await self.one(query, connection.info.backend_pid))

        await eventually(waits, what="a statement waits for a lock")


async def open_state(url: str, connect: Connect) -> State:
    json.register()
    return State(url, await connect(url), connect)
