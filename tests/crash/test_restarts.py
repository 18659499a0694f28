"""Postgres ends as in a crash, again and again, while runs are in flight."""

from __future__ import annotations

from pathlib import Path

from cdc.store.migrate import migrate
from tests.acceptance.conftest import OwnPostgres
from tests.acceptance.service import running
from tests.crash.ledger import Ledger, open_ledger, write_function
from tests.servers import Connect

RESTARTS = 3
ROWS = 150


async def test_immediate_restarts_of_postgres_under_load_lose_and_double_nothing(
    own_postgres: OwnPostgres, connect: Connect, tmp_path: Path
) -> None:
    postgres = own_postgres()
    await postgres.start()
    for kind in ("source", "state"):
        await migrate(postgres.url, kind)
    ledger = await open_ledger(await connect(postgres.url))
    settings = write_function(tmp_path / "functions", postgres.url, "rows", pause=0.1)
    async with running(**settings, CDC_LEASE="2", CDC_WORKERS="2") as service:
        for restart in range(1, RESTARTS + 1):
            await ledger.insert(ROWS)
            await ledger.work_is_under_way((restart - 1) * ROWS + 20)
            await postgres.stop(immediate=True)
            await postgres.start()
            ledger = Ledger(await connect(postgres.url))
            await ledger.insert(10)
        await ledger.everything_is_done(RESTARTS * (ROWS + 10), within=90)
        assert not service.logged("worker process died")
        await service.stop()
    await ledger.check(answers_lost=True)
    await ledger.each_row_is_an_event()
