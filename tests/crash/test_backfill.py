"""A service that is killed in the middle of a backfill: the next one goes on, and each row is one event."""

from __future__ import annotations

from pathlib import Path
from signal import SIGKILL

import pytest

from tests.acceptance.service import Settings, cdc, running, started
from tests.crash.ledger import Ledger, held_at, write_function
from tests.servers import Connection
from tests.waiting import eventually

ROWS = 9000


@pytest.fixture
def settings(migrated_url: str, tmp_path: Path) -> Settings:
    return write_function(tmp_path / "functions", migrated_url, "rows")


async def is_done(conn: Connection) -> bool:
    return await (await conn.execute("select status from cdc_state.backfills")).fetchall() == [("done",)]


async def asked(ledger: Ledger, settings: Settings) -> None:
    """The table is published by a service, and then has rows and a backfill that nobody has taken yet."""
    async with running(**settings) as service:

        async def is_published() -> bool:
            return bool(await ledger.rows("select 1 from pg_publication_tables where tablename = 'rows'"))

        await eventually(is_published)
        await service.stop()
    assert (await cdc("backfill", "rows", "--detach", **settings)).code == 0


async def each_row_is_one_event(ledger: Ledger) -> None:
    told = await ledger.rows(
        "select (data -> 'new' ->> 'id')::int from cdc_state.events where name = 'db/rows.backfilled' order by id"
    )
    assert [id_ for (id_,) in told] == [*range(1, ROWS + 1)]


@pytest.mark.parametrize(
    "fault", ["backfill.read:3", "backfill.announced:3", "accept.before_commit:3", "accept.committed:3"]
)
async def test_each_row_is_one_event_wherever_the_service_dies(
    ledger: Ledger, settings: Settings, tmp_path: Path, fault: str
) -> None:
    await ledger.connection.execute(f"insert into rows (note) select 'row' from generate_series(1, {ROWS})".encode())
    await asked(ledger, settings)
    async with started(**settings, CDC_FAULT=fault, CDC_FAULT_ONCE=tmp_path / "struck") as service:
        assert await service.ended(within=120) == -SIGKILL
    assert not await is_done(ledger.connection)
    async with running(**settings):
        await eventually(lambda: is_done(ledger.connection), within=60)
    await each_row_is_one_event(ledger)


HOLD = held_at("update on cdc_state.backfills for each row when (new.rows_done > 7500)")
"""The last rows are taken when whoever has the lock gives it back."""

END = """
    select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
"""
"""One that waits for the lock does not see that its client was killed, and would keep the checkpoint from the next."""


async def test_killed_again_and_again_it_goes_on_where_it_was(ledger: Ledger, settings: Settings) -> None:
    await ledger.connection.execute(f"insert into rows (note) select 'row' from generate_series(1, {ROWS})".encode())
    await asked(ledger, settings)
    await ledger.connection.execute(HOLD)
    await ledger.connection.execute("select pg_advisory_lock(1)")
    await ledger.connection.execute("update cdc_state.backfills set rate = 2000")
    for part in (1, 2500, 5000):
        async with running(**settings) as service:

            async def is_so_far(part: int = part) -> bool:
                return int(await ledger.one("select rows_done from cdc_state.backfills")) >= part

            await eventually(is_so_far, within=60)
            await service.kill()
        await ledger.connection.execute(END)
    assert not await is_done(ledger.connection)
    await ledger.connection.execute("select pg_advisory_unlock(1)")
    async with running(**settings):
        await eventually(lambda: is_done(ledger.connection), within=60)
    await each_row_is_one_event(ledger)
