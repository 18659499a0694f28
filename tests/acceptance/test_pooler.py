"""The state database behind a transaction pooler: everything works but prompt wake-ups, and the service says so."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.authored import WELCOME
from tests.acceptance.conftest import Write
from tests.acceptance.pooler import pooled
from tests.acceptance.service import Settings, cdc, roles, running, started
from tests.acceptance.state import USERS, completed, follows
from tests.servers import Connect


async def test_services_work_through_a_transaction_pooler_and_say_that_they_poll(
    connect: Connect, database_url: str, functions: Path, write: Write, only_woken: Settings
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with pooled(database_url) as through:
        settings: Settings = {
            "DATABASE_URL": database_url,
            "CDC_STATE_DATABASE_URL": through,
            "CDC_FUNCTIONS": functions,
            **only_woken,
        }
        async with started(**settings) as first, started(**settings) as second:
            listener, standby = await roles(first, second)
            for count in range(10, 61, 10):
                await conn.execute("insert into users (name) select 'x' from generate_series(1, 10)")
                await completed(conn, count)
            await listener.kill()
            await standby.logs("listening")
            await conn.execute("insert into users (name) select 'x' from generate_series(1, 10)")
            await completed(conn, 70)
            for path in ("/v1/status", "/v1/events", "/v1/runs") * 3:
                assert (await standby.get(path)).status_code == 200
            for service in (first, second):
                (told,) = service.logged("no notifications from the state database: this service polls")
                assert told["seconds"] == 1.0
            await standby.stop()
            assert "prepared statement" not in first.output + second.output
        shown = await cdc("slot", "status", DATABASE_URL=database_url, CDC_STATE_DATABASE_URL=through)
        assert shown.code == 0, shown.err


async def test_runs_that_others_make_are_found_by_polling(
    connect: Connect, database_url: str, functions: Path, write: Write, only_woken: Settings
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with pooled(database_url) as through:
        settings: Settings = {
            "DATABASE_URL": database_url,
            "CDC_STATE_DATABASE_URL": through,
            "CDC_FUNCTIONS": functions,
            **only_woken,
        }
        async with (
            running("--only", "listener", **settings),
            running("--only", "worker", **settings),
            running("--only", "web", CDC_STATE_DATABASE_URL=through) as web,
        ):
            await follows(conn, "users")
            for count in (1, 2, 3):
                await conn.execute("insert into users (name) values ('Ada')")
                await completed(conn, count)
            assert len((await web.get("/v1/runs")).json()["data"]) == 3
