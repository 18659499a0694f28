"""Events of an application's own, told to an engine as an API would."""

from __future__ import annotations

import time
from typing import Any

from cdc.events import intake
from cdc.events.outbox import Outbox
from cdc.store import waits
from cdc.store.events import Incoming
from cdc.store.json import document
from tests.engine.harness import Engine
from tests.servers import Connection


async def accept(conn: Connection, name: str, *data: dict[str, Any]) -> None:
    """Accept one event for each data, in the caller's transaction or one of its own."""
    incoming = [Incoming(intake.new_id(), name, time.time_ns() // 1000, document(each).encode(), None) for each in data]
    async with conn.transaction():
        await waits.lock_names(conn, accepted=intake.names(incoming))
        await Outbox().add(conn, incoming)


async def tell(engine: Engine, name: str, *data: dict[str, Any]) -> None:
    """The same, over the engine's connection; its workers are woken."""
    await accept(engine.conn, name, *data)
    engine.wake()


async def cancel(engine: Engine) -> None:
    """Cancel all runs."""
    async with engine.conn.transaction():
        await Outbox().cancel(engine.conn, {run["id"]: "somebody said so" for run in await engine.runs()})
    engine.wake()


async def waits_of(engine: Engine) -> list[tuple[str, str]]:
    """What is waited for now: step and event."""
    cursor = await engine.conn.execute("select id, event from cdc_state.waits order by id, run_id")
    return [(row[0], row[1]) for row in await cursor.fetchall()]
