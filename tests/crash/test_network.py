"""The network between the service and its database fails for longer than the lease: refused, then as a black hole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.acceptance.service import Settings, running
from tests.acceptance.state import workers
from tests.crash.ledger import ROWS, WATCH, Ledger, write_function
from tests.proxy import Proxy, ports_of
from tests.servers import Connect
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
async def ledger(migrated_url: str, connect: Connect) -> Ledger:
    connection = await connect(migrated_url)
    await connection.execute(WATCH)
    await connection.execute(ROWS)
    # The server is to notice, too, that its walsender speaks to nobody: else the slot stays in use for a minute.
    await connection.execute(f"alter database {connection.info.dbname} set wal_sender_timeout = '2s'".encode())
    return Ledger(connection)


@pytest.fixture
def settings(migrated_url: str, tmp_path: Path) -> Settings:
    patience: Settings = {"CDC_LEASE": "1", "CDC_NETWORK_TIMEOUT": "2"}
    return {**write_function(tmp_path / "functions", migrated_url, "rows", pause=0.2), **patience}


async def insert(ledger: Ledger, count: int) -> None:
    await ledger.rows("insert into rows (note) select 'row' from generate_series(1, %s) returning 1", count)


async def work_is_under_way(ledger: Ledger) -> None:
    async def has_begun() -> bool:
        return int(await ledger.one("select count(*) from bodies where step = 'b'")) >= 20

    await eventually(has_begun, within=20)


async def leases_ran_out(ledger: Ledger) -> None:
    async def are_over() -> bool:
        silent = "select count(*) from cdc_state.workers where lease_until < now() - interval '2 s'"
        return int(await ledger.one(silent)) > 0

    await eventually(are_over, within=20)


@each_failure
async def test_a_service_that_was_cut_off_goes_on_where_it_was(
    ledger: Ledger, settings: Settings, fail: Change, mend: Change
) -> None:
    async with (
        Proxy(str(settings["DATABASE_URL"])) as proxy,
        running(**{**settings, "DATABASE_URL": proxy.url}) as service,
    ):
        await insert(ledger, 100)
        await work_is_under_way(ledger)
        await fail(proxy)
        await insert(ledger, 50)
        await leases_ran_out(ledger)
        await mend(proxy)
        await insert(ledger, 50)
        await ledger.everything_is_done(200, within=40)
        assert not service.logged("worker process died")
        await service.stop()
    await ledger.check()
    assert await ledger.events() == 200


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
        await insert(ledger, 100)
        await work_is_under_way(ledger)
        fail(proxy, lonely)
        await insert(ledger, 50)
        await ledger.everything_is_done(150, within=40)
        assert await workers(ledger.connection) == [other]
        await mend(proxy)

        async def is_back() -> bool:
            return sorted(await workers(ledger.connection)) == sorted([lonely, other])

        await eventually(is_back, within=30)
        await insert(ledger, 50)
        await ledger.everything_is_done(200, within=40)
        assert not service.logged("worker process died")
        await service.stop()
    await ledger.check()
