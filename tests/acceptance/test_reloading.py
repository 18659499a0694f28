"""`cdc run --reload`: the workers follow the function files while a person edits them."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.authored import effects, let_go
from tests.acceptance.conftest import Write
from tests.acceptance.service import running
from tests.acceptance.state import USERS, completed, follows, workers
from tests.servers import Connect, Connection
from tests.waiting import eventually

GREETS = """
    from cdc import Context, function

    @function("greets", on="db/users.inserted")
    async def greets(ctx: Context) -> str:
        return "{}"
"""

FOLLOWS_ORDERS = """
    from cdc import Context, function

    @function("ships", on="db/orders.inserted")
    async def ships(ctx: Context) -> str:
        return "shipped"
"""


async def test_a_changed_file_is_taken_and_one_that_cannot_be_loaded_is_told_and_left(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("greets.py", GREETS.format("one"))
    conn = await connect(database_url)
    await conn.execute(USERS)
    await conn.execute("create table orders (id bigint primary key)")

    async def outputs(count: int) -> list[str]:
        await conn.execute("insert into users (name) values ('Ada')")
        return [run.output for run in await completed(conn, count)]

    async with running("--reload", DATABASE_URL=database_url, CDC_FUNCTIONS=functions) as service:
        assert await outputs(1) == ["one"]
        write("greets.py", "not python")
        told, *_ = await service.logs("not reloaded: the old functions stay")
        assert "greets.py:1" in told["reason"]
        assert await outputs(2) == ["one", "one"]

        (old,) = await workers(conn)
        write("greets.py", GREETS.format("two"))
        await service.logs("reloading")
        await eventually(lambda: renewed(conn, old))
        assert await outputs(3) == ["one", "one", "two"]

        write("ships.py", FOLLOWS_ORDERS)
        await service.logs("reloading", times=2)
        await follows(conn, "orders")
        await conn.execute("insert into orders values (1)")
        assert [run.output for run in await completed(conn, 4)] == ["one", "one", "two", "shipped"]
        assert not service.logged("worker process died")


async def test_a_run_in_flight_goes_on_in_the_new_process(
    patient: Connection, database_url: str, functions: Path, write: Write
) -> None:
    settings = {"CDC_SHUTDOWN_TIMEOUT": "0.1"}
    async with running("--reload", DATABASE_URL=database_url, CDC_FUNCTIONS=functions, **settings) as service:
        await patient.execute("insert into users (name) values ('Ada')")
        await eventually(lambda: effects(functions) == ["first", "second"])
        write("greets.py", GREETS.format("one"))
        await service.logs("reloading")
        await eventually(lambda: effects(functions) == ["first", "second", "second"])
        let_go(functions)
        (run,) = await completed(patient)
        assert run.output == ["first", "second"]


async def renewed(conn: Connection, old: int) -> bool:
    pids = await workers(conn)
    return len(pids) == 1 and old not in pids
