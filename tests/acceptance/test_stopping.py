"""SIGTERM and Ctrl-C end the service in order and in time, whatever it is doing; the next start goes on from there."""

from __future__ import annotations

from pathlib import Path
from signal import SIGINT, SIGTERM, Signals

import httpx
import pytest

from tests.acceptance.authored import effects, let_go
from tests.acceptance.service import Settings, is_running, running, started
from tests.acceptance.state import completed, runs, status_is, workers
from tests.servers import Connection
from tests.waiting import eventually


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
async def test_runs_that_sleep_hold_nothing_up(
    patient: Connection, database_url: str, functions: Path, number: Signals
) -> None:
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions, "CDC_SHUTDOWN_TIMEOUT": "3600"}
    async with running(**settings, CDC_WORKERS="2") as service:
        await patient.execute("insert into users (name) values ('sleeper')")
        await status_is(patient, "sleeping")
        pids = await workers(patient)
        await service.stop(number)
        assert service.logged("stopped")
    assert len(pids) == 2
    assert not any(map(is_running, pids))
    assert await workers(patient) == []
    assert [run.status for run in await runs(patient)] == ["sleeping"]


async def test_a_step_in_flight_is_given_back_and_what_was_recorded_is_not_repeated(
    patient: Connection, database_url: str, functions: Path
) -> None:
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions, "CDC_SHUTDOWN_TIMEOUT": "0.2"}
    async with running(**settings) as service:
        await patient.execute("insert into users (name) values ('Ada')")
        await eventually(lambda: effects(functions) == ["first", "second"])
        await service.stop()
    assert [run.status for run in await runs(patient)] == ["queued"]

    let_go(functions)
    async with running(**settings):
        (run,) = await completed(patient)
    assert run.output == ["first", "second"]
    assert effects(functions) == ["first", "second", "second"]


async def test_a_step_in_flight_may_end_within_the_time_it_is_given(
    patient: Connection, database_url: str, functions: Path
) -> None:
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions, CDC_SHUTDOWN_TIMEOUT="30") as service:
        await patient.execute("insert into users (name) values ('Ada')")
        await eventually(lambda: effects(functions) == ["first", "second"])
        service.send(SIGTERM)
        let_go(functions)
        assert await service.ended() == 0
    assert [run.output for run in await runs(patient)] == [["first", "second"]]


async def test_a_step_that_blocks_its_thread_does_not_hold_the_process(
    patient: Connection, database_url: str, functions: Path
) -> None:
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions, "CDC_SHUTDOWN_TIMEOUT": "0.2"}
    async with running(**settings) as service:
        await patient.execute("insert into users (name) values ('blocker')")
        await eventually(lambda: effects(functions) == ["first", "blocks"])
        await service.stop()
        assert not service.logged("worker process killed: it did not stop in time")
    assert [run.status for run in await runs(patient)] == ["queued"]


async def test_a_second_signal_does_not_wait_for_runs_in_flight(
    patient: Connection, database_url: str, functions: Path
) -> None:
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions, CDC_SHUTDOWN_TIMEOUT="3600") as service:
        await patient.execute("insert into users (name) values ('Ada')")
        await eventually(lambda: effects(functions) == ["first", "second"])
        (worker,) = await workers(patient)
        service.send(SIGINT)

        async def closed() -> bool:
            try:
                await service.get("/livez")
            except httpx.ConnectError:
                return True
            except httpx.TransportError:  # it was closed just then
                return False
            return False

        await eventually(closed, what="the API is closed")
        service.send(SIGINT)
        assert await service.ended() == 0
        await eventually(lambda: not is_running(worker))


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
async def test_a_service_that_waits_for_its_database_ends_at_once(number: Signals) -> None:
    async with started(DATABASE_URL="postgresql://somebody@127.0.0.1:1/app", CDC_CONNECT_TIMEOUT="3600") as service:
        await service.logs("waiting for the database")
        await service.stop(number)
