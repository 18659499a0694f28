"""A handler that blocks its worker's event loop for ever harms the others for a while only."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.conftest import Write
from tests.acceptance.service import running
from tests.acceptance.state import USERS
from tests.servers import Connect
from tests.waiting import eventually

BLOCKING = """
    import time
    from cdc import Context, Timeouts, function

    @function("blocks", on="app/block", timeouts=Timeouts(finish="1s"))
    async def blocks(ctx: Context) -> None:
        time.sleep(1_000_000)

    @function("greet", on="db/users.inserted")
    async def greet(ctx: Context) -> str:
        return "hello"
"""


async def test_a_worker_that_stands_still_is_replaced_once_its_run_is_cancelled(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("blocking.py", BLOCKING)
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions) as service:
        await conn.execute("select cdc.send('app/block', '{}')")

        async def is_cancelled() -> bool:
            # As if half a minute had gone by: the clock is set, not waited for.
            moved = await conn.execute(
                "update cdc_state.runs set ended_at = ended_at - interval '1 minute'"
                " where status = 'cancelled' and worker_id is not null"
            )
            return moved.rowcount == 1

        await eventually(is_cancelled, within=60, what="the run is cancelled")
        await conn.execute("insert into users (name) values ('Ada')")

        async def is_greeted() -> bool:
            cursor = await conn.execute(
                "select from cdc_state.runs where function_id = 'greet' and status = 'completed'"
            )
            return cursor.rowcount == 1

        await eventually(is_greeted, within=60, what="the run of another function completes")
        assert service.logged("worker process killed: its event loop stands still")
        cursor = await conn.execute("select status, worker_id from cdc_state.runs where function_id = 'blocks'")
        assert await cursor.fetchall() == [("cancelled", None)]
