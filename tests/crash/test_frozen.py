"""A worker that stands still for longer than its lease, and then goes on as if nothing had been."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from tests.acceptance.service import running
from tests.acceptance.state import workers
from tests.crash.ledger import Ledger, write_function
from tests.waiting import eventually

BUSIEST = """
    select w.pid from cdc_state.runs r join cdc_state.workers w on w.id = r.worker_id
     group by w.pid order by count(*) desc limit 1
"""


@pytest.fixture
def frozen() -> Iterator[list[int]]:
    """The processes that stand still; woken at the end whatever happens, or nobody could end them."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, SIGCONT)


async def test_a_frozen_worker_loses_its_runs_and_writes_nothing_when_it_wakes_up(
    ledger: Ledger, migrated_url: str, tmp_path: Path, frozen: list[int]
) -> None:
    settings = write_function(tmp_path / "functions", migrated_url, "rows")
    gate = tmp_path / "open"
    async with running(**settings, GATE=gate, CDC_LEASE="1", CDC_WORKERS="2") as service:
        both = sorted(await workers(ledger.connection))
        await ledger.insert(200)
        await ledger.work_is_under_way(200)
        busy = await ledger.one(BUSIEST)
        os.kill(busy, SIGSTOP)
        frozen.append(busy)
        gate.touch()
        await ledger.everything_is_done(200, within=90)

        async def is_gone() -> bool:
            return busy not in await workers(ledger.connection)

        await eventually(is_gone, within=60)
        before = await ledger.rows("select * from cdc_state.steps order by run_id, id")
        woken = await ledger.one("select clock_timestamp()")
        os.kill(busy, SIGCONT)

        async def is_back() -> bool:
            return sorted(await workers(ledger.connection)) == both

        await eventually(is_back, within=60)
        assert await ledger.rows("select * from cdc_state.steps order by run_id, id") == before
        began = await ledger.rows("select run_id, step from bodies where began_at > %s", woken)
        assert began == [], "a body began in a worker without a lease"
        assert service.logged("worker starts over")
        await ledger.insert(50)
        await ledger.everything_is_done(250, within=90)
        await service.stop()
    await ledger.check()
