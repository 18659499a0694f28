"""A service looks after schedules, deadlines and what is past by itself."""

from __future__ import annotations

from tests.acceptance.conftest import Write
from tests.acceptance.service import running
from tests.acceptance.state import USERS, runs
from tests.servers import Connect
from tests.waiting import eventually

AUTHORED = """
    import asyncio
    from cdc import Concurrency, Context, Cron, Timeouts, function

    @function("yearly", on=Cron("0 0 1 1 *"))
    async def yearly(ctx: Context) -> None: ...

    ONE = Concurrency(1, key="'users'", scope="env")

    @function("stuck", on="db/users.inserted", concurrency=ONE, timeouts=Timeouts(finish="0.5s"))
    async def stuck(ctx: Context) -> None:
        await asyncio.Event().wait()

    @function("next", on="db/others.inserted", concurrency=ONE)
    async def next(ctx: Context) -> str:
        return "done"
"""

OLD = """
    insert into cdc_state.rejected_events (id, name, position, reason, rejected_at)
    values (gen_random_uuid(), 'db/users.inserted', '0/0', 'too big', now() - interval '2 hours')
"""


async def test_what_is_due_starts_what_is_late_is_cancelled_and_what_is_past_goes(
    connect: Connect, migrated_url: str, functions: object, write: Write
) -> None:
    write("authored.py", AUTHORED)
    conn = await connect(migrated_url)
    await conn.execute(USERS)
    await conn.execute("create table others (id bigint generated always as identity primary key)")
    await conn.execute(OLD)
    async with running(DATABASE_URL=migrated_url, CDC_FUNCTIONS=str(functions), CDC_RETENTION="1h"):

        async def has_begun() -> bool:
            return [run.status for run in await runs(conn)] in (["running"], ["cancelled"])

        await conn.execute("insert into users (name) values ('Ada')")
        await eventually(has_begun, what="the first run has the only place")
        await conn.execute("insert into others default values")

        async def ended() -> bool:
            cursor = await conn.execute("select status, error ->> 'message' from cdc_state.runs order by id")
            return await cursor.fetchall() == [
                ("cancelled", "it did not end in time (timeouts.finish)"),
                ("completed", None),
            ]

        await eventually(ended, what="the stuck run is cancelled and the next one completes")

        async def is_planned() -> bool:
            cursor = await conn.execute("select function_id, cron, next_at > now() from cdc_state.schedules")
            return await cursor.fetchall() == [("yearly", "0 0 1 1 *", True)]

        async def is_pruned() -> bool:
            cursor = await conn.execute("select count(*) from cdc_state.rejected_events")
            return await cursor.fetchone() == (0,)

        await eventually(is_planned)
        await eventually(is_pruned)
