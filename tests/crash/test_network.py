"""The network between the service and its database fails for longer than the lease: refused, then as a black hole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.acceptance.service import Settings, running
from tests.acceptance.state import workers
from tests.crash.ledger import Ledger, write_function
from tests.proxy import Proxy, ports_of
from tests.waiting import eventually

Change = Callable[[Proxy], Awaitable[None]]


async def stall(proxy: Proxy) -> None:
    proxy.stall()


each_failure = pytest.mark.parametrize(
    ("fail", "mend"),
    [(Proxy.cut, Proxy.restore), (stall, Proxy.restore), (stall, Proxy.forget)],
    ids=["refused", "black hole", "forgotten"],
)


@pytest.fixture
async def settings(ledger: Ledger, migrated_url: str, tmp_path: Path) -> Settings:
    # The server is to notice, too, that its walsender speaks to nobody: else the slot stays in use for a minute.
    database = ledger.connection.info.dbname
    await ledger.connection.execute(f"alter database {database} set wal_sender_timeout = '2s'".encode())
    patience: Settings = {"CDC_LEASE": "1", "CDC_NETWORK_TIMEOUT": "5"}
    return {**write_function(tmp_path / "functions", migrated_url, "rows", pause=0.2), **patience}


async def leases_ran_out(ledger: Ledger) -> None:
    async def are_over() -> bool:
        silent = "select count(*) from cdc_state.workers where lease_until < now() - interval '2 s'"
        return int(await ledger.one(silent)) > 0

    await eventually(are_over, within=60)


@each_failure
async def test_a_service_that_was_cut_off_goes_on_where_it_was(
    ledger: Ledger, settings: Settings, fail: Change, mend: Change
) -> None:
    async with (
        Proxy(str(settings["DATABASE_URL"])) as proxy,
        running(**{**settings, "DATABASE_URL": proxy.url}) as service,
    ):
        await ledger.insert(100)
        await ledger.work_is_under_way(20)
        await fail(proxy)
        await ledger.insert(50)
        await leases_ran_out(ledger)
        await mend(proxy)
        await ledger.insert(50)
        await ledger.everything_is_done(200, within=90)
        assert not service.logged("worker process died")
        await service.stop()
    await ledger.check(answers_lost=True)
    await ledger.each_row_is_an_event()


def reset_of(proxy: Proxy, pid: int) -> None:
    proxy.reset(lambda port: port in ports_of(pid))


def stall_of(proxy: Proxy, pid: int) -> None:
    proxy.stall(lambda port: port in ports_of(pid))


@pytest.mark.parametrize(
    ("fail", "mend"),
    [(reset_of, Proxy.restore), (stall_of, Proxy.restore), (stall_of, Proxy.forget)],
    ids=["reset", "black hole", "forgotten"],
)
async def test_the_runs_of_a_worker_that_is_cut_off_go_to_another_and_it_comes_back(
    ledger: Ledger, settings: Settings, fail: Callable[[Proxy, int], None], mend: Change
) -> None:
    async with (
        Proxy(str(settings["DATABASE_URL"])) as proxy,
        running(**{**settings, "DATABASE_URL": proxy.url}, CDC_WORKERS="2") as service,
    ):
        lonely, other = await workers(ledger.connection)
        await ledger.insert(100)
        await ledger.work_is_under_way(20)
        fail(proxy, lonely)
        await ledger.insert(50)
        await ledger.everything_is_done(150, within=90)

        async def is_gone() -> bool:
            return await workers(ledger.connection) == [other]

        await eventually(is_gone, within=60)
        await mend(proxy)

        async def is_back() -> bool:
            return sorted(await workers(ledger.connection)) == sorted([lonely, other])

        await eventually(is_back, within=60)
        await ledger.insert(50)
        await ledger.everything_is_done(200, within=90)
        assert not service.logged("worker process died")
        await service.stop()
    await ledger.check(answers_lost=True)
    await ledger.each_row_is_an_event()
