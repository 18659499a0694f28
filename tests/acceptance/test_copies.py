"""A copy of the database: nothing of the original's goes on there before a person has decided what shall."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from tests.acceptance.authored import effects, let_go
from tests.acceptance.service import Settings, cdc, refused, running, started
from tests.acceptance.state import completed, follows, runs, slots_are_free, status_is
from tests.ports import free_port
from tests.servers import Connect, Connection
from tests.waiting import eventually

MAKE_A_COPY = "update cdc_state.sources set system_identifier = '1'"
"""What the checkpoint of a copy looks like from there: it was made on another server."""

WAKE = """
    with slept as (update cdc_state.steps set wake_at = now() where ended_at is null)
    update cdc_state.runs set due_at = now(), rank = now() where status = 'sleeping'
"""


async def with_a_sleeping_run(patient: Connection, **settings: str | Path) -> None:
    """Leave a run asleep, and a service that has stopped."""
    async with running(**settings):
        await follows(patient, "users")
        await patient.execute("insert into users (name) values ('sleeper')")
        await status_is(patient, "sleeping")
    await slots_are_free(patient)


async def test_a_copy_starts_nothing_until_it_is_adopted_and_then_does_as_was_decided(
    patient: Connection, database_url: str, functions: Path
) -> None:
    await with_a_sleeping_run(patient, DATABASE_URL=database_url, CDC_FUNCTIONS=functions)
    let_go(functions)
    await patient.execute(MAKE_A_COPY.encode())
    await patient.execute(WAKE.encode())
    for only in ([], ["--only", "worker"]):
        await refused(
            *("run", *only),
            code=65,
            says="another server or timeline",
            hint="'cdc adopt --runs=cancel'",
            DATABASE_URL=database_url,
            CDC_FUNCTIONS=str(functions),
        )
    assert effects(functions) == ["first"]

    asked = await cdc("adopt", "--runs=keep", DATABASE_URL=database_url)
    assert asked.code == 1
    assert "another server or timeline" in asked.out
    assert "Unfinished runs: 1 sleeping." in asked.out
    assert "Nothing was changed." in asked.out

    adopted = await cdc("adopt", "--runs=keep", "--yes", DATABASE_URL=database_url)
    assert (adopted.code, "cancelled: 0" in adopted.out) == (0, True), adopted.err
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions) as service:
        await completed(patient)
        (gap,) = (await service.get("/v1/status")).json()["gaps"]
        assert gap["reason"] == "cdc adopt --runs=keep"


async def test_the_runs_of_a_copy_end_where_that_was_decided(
    patient: Connection, database_url: str, functions: Path
) -> None:
    await with_a_sleeping_run(patient, DATABASE_URL=database_url, CDC_FUNCTIONS=functions)
    await patient.execute(MAKE_A_COPY.encode())
    adopted = await cdc("adopt", "--runs=cancel", "--yes", DATABASE_URL=database_url)
    assert (adopted.code, "cancelled: 1" in adopted.out) == (0, True), adopted.err
    events = "select count(*) from cdc_state.events where name = 'inngest/function.cancelled'"
    cursor = await patient.execute(events)
    assert await cursor.fetchone() == (0,)
    let_go(functions)
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions):
        await patient.execute("insert into users (name) values ('Ada')")

        async def one_is_completed() -> bool:
            return [run.status for run in await runs(patient)] == ["cancelled", "completed"]

        await eventually(one_is_completed, what="the new run is completed")
    assert effects(functions) == ["first", "first", "second"]


async def test_before_the_source_is_confirmed_nothing_is_started_ended_or_changed(
    patient: Connection, database_url: str, functions: Path
) -> None:
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions}
    await with_a_sleeping_run(patient, **settings)
    await patient.execute(b"update cdc_state.sources set retired_at = now()")
    await patient.execute(b"update cdc_state.runs set deadline = now()")
    port = free_port()
    async with started("--only=worker,web", **settings, CDC_PORT=str(port)) as service:
        await service.logs("waiting for a listener to open the source")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:

            async def send() -> int:
                return (await client.post("/e/key", json={"name": "app/sent"})).status_code

            async def sent() -> bool:
                return await send() == 200

            await eventually(lambda: answers(client), what="the API answers")
            assert await send() == 503
            # Deadlines are looked for every second: by now, two times.
            began = time.monotonic()
            await eventually(lambda: time.monotonic() > began + 2.5)
            await status_is(patient, "sleeping")
            async with running("--only=listener", **settings):
                await status_is(patient, "cancelled")
                await eventually(sent, what="requests are taken")
        await service.stop()


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/livez")).status_code == 200
    except httpx.ConnectError:
        return False


async def is_deserted(conn: Connection, database: str) -> bool:
    return not (await conn.execute("select from pg_stat_activity where datname = %s", [database])).rowcount


@pytest.mark.parametrize("what", ["keep", "cancel"])
async def test_the_slot_of_the_original_is_not_dropped_from_a_copy_on_the_same_server(
    connect: Connect, database_url: str, what: str
) -> None:
    async with running(DATABASE_URL=database_url):
        pass
    slot = database_url.rpartition("/")[2]
    conn = await connect(database_url.replace(slot, "postgres"))
    await eventually(lambda: is_deserted(conn, slot), what="the server's ends of the service's connections are gone")
    copy = f"{slot}_copy"
    await conn.execute(f"create database {copy} template {slot}".encode())
    url = database_url.replace(slot, copy)
    for arguments in (["run"], ["adopt", f"--runs={what}", "--yes"]):
        says = "exists on this server for database"
        await refused(*arguments, code=78, says=says, hint="CDC_SLOT", DATABASE_URL=url, CDC_SLOT=slot)
    adopted = await cdc("adopt", f"--runs={what}", "--yes", DATABASE_URL=url)
    assert adopted.code == 0, adopted.err
    query = b"select slot_name::text from pg_replication_slots where slot_name = any(%s)"
    slots = await conn.execute(query, [[slot, copy]])
    assert sorted(await slots.fetchall()) == [(slot,), (copy,)]
    async with running(DATABASE_URL=url):
        pass
    await eventually(lambda: is_deserted(conn, copy), what="the server's ends of the service's connections are gone")
    assert (await cdc("slot", "drop", "--yes", DATABASE_URL=url)).code == 0
    await eventually(lambda: is_deserted(conn, copy), what="and those of the command's")
    await conn.execute(f"drop database {copy}".encode())
