"""Apps that connect by themselves, in the whole service."""

from __future__ import annotations

from cdc.client import Client
from tests.acceptance.service import running
from tests.acceptance.state import completed, follows
from tests.ports import free_port
from tests.remote.connect.workers import worker
from tests.servers import Connect
from tests.waiting import eventually

KEY = "signkey-prod-" + "ab" * 16
TOKEN = "token-of-the-dashboard"


async def test_connected_apps_are_apps_like_any_other(database_url: str) -> None:
    secrets = {"CDC_SIGNING_KEY": KEY, "CDC_DASHBOARD_TOKEN": TOKEN}
    async with running(DATABASE_URL=database_url, CDC_CONNECT_PORT=str(free_port()), **secrets) as service:
        client = Client(service.url, token=TOKEN)

        async def send(function: str) -> str:
            (event,) = await client.send({"name": function, "data": {"who": "world"}})
            return event

        async def ended(event: str) -> list[tuple[str, object]]:
            runs = await eventually(lambda: client.ended(event, within=60), within=60)
            return [(run["status"], run["output"]) for run in runs]

        async with worker("py", service.url, KEY), worker("js4", service.url, KEY):
            for app in ("py", "js4"):
                assert await ended(await send(f"{app}/greet")) == [("completed", "Hello, world")]
                assert await ended(await send(f"{app}/stepped")) == [("completed", "one")]
                ((status, _),) = await ended(await send(f"{app}/broken"))
                assert status == "failed"
        await service.logs("worker disconnected", times=2)
        # Nobody is there: it waits, and that is no attempt.
        waiting = await send("py/greet")
        async with worker("py", service.url, KEY):
            assert await ended(waiting) == [("completed", "Hello, world")]


async def test_rows_of_a_table_that_only_a_connected_app_names_start_its_function(
    connect: Connect, database_url: str
) -> None:
    conn = await connect(database_url)
    await conn.execute("create table visitors (who text primary key)")
    async with (
        running(DATABASE_URL=database_url, CDC_CONNECT_PORT=str(free_port())) as service,
        worker("py", service.url),
    ):
        await follows(conn, "visitors")
        await conn.execute("insert into visitors values ('Ada')")
        (run,) = await completed(conn)
        assert run.function == "py-stepped"
