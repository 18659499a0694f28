"""Processes and servers that end without a word: nothing is lost, and nothing that was recorded happens again."""

from __future__ import annotations

import os
from pathlib import Path
from signal import SIGKILL

from tests.acceptance.authored import WELCOME, effects, let_go
from tests.acceptance.conftest import OwnPostgres, Write
from tests.acceptance.service import Settings, is_running, running
from tests.acceptance.state import USERS, completed, workers
from tests.servers import Connect, Connection
from tests.waiting import eventually


async def test_a_worker_that_is_killed_is_replaced_and_its_runs_go_on(
    patient: Connection, database_url: str, functions: Path
) -> None:
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions, CDC_LEASE="3600") as service:
        await patient.execute("insert into users (name) values ('Ada')")
        await eventually(lambda: effects(functions) == ["first", "second"])
        (first,) = await workers(patient)
        os.kill(first, SIGKILL)
        (died,) = await service.logs("worker process died")
        assert (died["pid"], died["exit_code"]) == (first, -SIGKILL)

        await eventually(lambda: effects(functions) == ["first", "second", "second"])
        (second,) = await workers(patient)
        assert second != first
        let_go(functions)
        (run,) = await completed(patient)
        assert run.output == ["first", "second"]


async def test_without_their_parent_workers_end_and_a_new_service_goes_on(
    patient: Connection, database_url: str, functions: Path
) -> None:
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions, "CDC_SHUTDOWN_TIMEOUT": "1"}
    async with running(**settings, CDC_WORKERS="2") as service:
        await patient.execute("insert into users (name) values ('Ada'), ('blocker')")
        await eventually(lambda: sorted(effects(functions)) == ["blocks", "first", "first", "second"])
        orphans = await workers(patient)
        await service.kill()
        await patient.execute("insert into users (name) values ('Grace')")
        await eventually(lambda: not any(map(is_running, orphans)), what="the workers end")
    assert await workers(patient) == []

    let_go(functions)
    async with running(**settings):

        async def done() -> bool:
            cursor = await patient.execute("select from cdc_state.runs where status = 'completed'")
            return cursor.rowcount == 2

        await eventually(done, what="the runs of before and of meanwhile are completed")
    assert effects(functions).count("first") == 3


async def test_a_restart_of_postgres_is_survived_and_nothing_is_lost(
    connect: Connect, own_postgres: OwnPostgres, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    postgres = own_postgres()
    await postgres.start()
    before = await connect(postgres.url)
    await before.execute(USERS)
    async with running(DATABASE_URL=postgres.url, CDC_FUNCTIONS=functions, CDC_LEASE="1") as service:
        await before.execute("insert into users (name) select 'before ' || n from generate_series(1, 50) n")
        await postgres.stop(immediate=True)
        await service.logs("listener connects again")
        await postgres.start()

        after = await connect(postgres.url)
        await after.execute("insert into users (name) select 'after ' || n from generate_series(1, 50) n")
        runs = await completed(after, 100, within=60)
        assert len({run.output["said"][0] for run in runs}) == 100
        events = await after.execute("select data ->> 'new' from cdc_state.events")
        assert len(set(await events.fetchall())) == events.rowcount == 100
        assert (await service.get("/readyz")).status_code == 200
        await service.stop()


async def test_a_service_whose_database_went_away_still_ends_in_order(
    connect: Connect, own_postgres: OwnPostgres, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    postgres = own_postgres()
    await postgres.start()
    await (await connect(postgres.url)).execute(USERS)
    async with running(DATABASE_URL=postgres.url, CDC_FUNCTIONS=functions, CDC_LEASE="1") as service:
        await postgres.stop(immediate=True)
        await service.logs("listener connects again", times=3)
        await service.stop()
        assert not service.logged("worker process killed: it did not stop in time")
