"""The real service, killed at each of its named points: nothing is lost, and only what was not recorded is repeated.

What a body may do again is exactly what had not been recorded when the process died:

    accept.before_commit    nothing: the events come again, no run was there yet
    accept.committed        nothing: the events are stored, their repeat is skipped
    worker.claimed          nothing: no body had begun
    step.ran                that step's body: it had returned, its result was in memory only
    run.ended               nothing: all its steps were durable, only the outcome was in memory
    journal.before_commit   the bodies of that batch: their results were on their way
    journal.committed       nothing of that batch: its results were durable
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from signal import SIGKILL
from typing import NamedTuple

import pytest

import cdc
from cdc.faults import POINTS
from tests.acceptance.service import Service, Settings, running, started
from tests.acceptance.state import workers
from tests.crash.ledger import Ledger, held_at, write_function
from tests.servers import Connect
from tests.waiting import eventually


class Fault(NamedTuple):
    """Where a process dies: with one row alone, and the bodies that run again then; in the middle of work."""

    point: str
    time: int
    repeated: tuple[str, ...]
    later: int

    @property
    def in_parent(self) -> bool:
        return self.point.startswith("accept.")


FAULTS = [
    Fault("accept.before_commit", 1, (), later=4),
    Fault("accept.committed", 1, (), later=4),
    Fault("worker.claimed", 1, (), later=3),
    Fault("step.ran", 2, ("b",), later=25),
    Fault("run.ended", 1, (), later=12),
    Fault("journal.before_commit", 2, ("b",), later=12),
    Fault("journal.committed", 2, (), later=12),
]

each_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.point)


def test_each_point_of_the_code_has_its_test() -> None:
    passed = re.compile(r'faults\.point\("(.*?)"\)')
    files = Path(cdc.__file__).parent.rglob("*.py")
    assert {name for file in files for name in passed.findall(file.read_text())} == POINTS.keys()
    elsewhere = ("transaction.", "backfill.", "inference.")  # test_transaction.py, test_backfill.py, test_inferences.py
    assert [fault.point for fault in FAULTS] == [name for name in POINTS if not name.startswith(elsewhere)]


@pytest.fixture
def settings(migrated_url: str, tmp_path: Path) -> Settings:
    return write_function(tmp_path / "functions", migrated_url, "rows")


async def crashed(service: Service, fault: Fault) -> None:
    """Returns once the fault has struck: the worker is replaced by the service, which itself is not."""
    if fault.in_parent:
        assert await service.ended() == -SIGKILL
    else:
        (died,) = await service.logs("worker process died")
        assert died["exit_code"] == -SIGKILL


@each_fault
async def test_only_what_was_not_recorded_runs_again(
    ledger: Ledger, settings: Settings, tmp_path: Path, fault: Fault
) -> None:
    marker = tmp_path / "struck"
    armed: Settings = {"CDC_FAULT": f"{fault.point}:{fault.time}", "CDC_FAULT_ONCE": marker}
    async with started(**settings, **armed) as service:
        await service.logs("api")
        await ledger.rows("insert into rows (note) values ('alone') returning 1")
        await crashed(service, fault)
        if not fault.in_parent:
            await ledger.everything_is_done(1, within=90)
    if fault.in_parent:
        async with running(**settings):
            await ledger.everything_is_done(1, within=90)
    await ledger.check()
    assert await ledger.events() == 1
    repeated = await ledger.repeated_bodies()
    assert {step: times for (_, step), times in repeated.items()} == dict.fromkeys(fault.repeated, 2)


UNDER_WAY = """
    select count(*) from bodies b
      join cdc_state.runs r on r.id = b.run_id
      join cdc_state.events e on e.id = any (r.event_ids)
     where b.step = 'b' and (e.data -> 'new' ->> 'id')::bigint = any (%s)
"""
"""Second steps of the runs of these rows."""


@each_fault
async def test_in_the_middle_of_work_nothing_is_lost(
    ledger: Ledger, settings: Settings, tmp_path: Path, fault: Fault
) -> None:
    marker = tmp_path / "struck"
    armed: Settings = {"CDC_FAULT": f"{fault.point}:{fault.later}", "CDC_FAULT_ONCE": marker}

    async def insert() -> None:
        """Five rows in a transaction; returns once the work on them is under way, or once the fault has struck.

        A machine however slow then accepts, claims and commits to the journal as often as there are transactions.
        """
        new = await ledger.rows("insert into rows (note) select 'many' from generate_series(1, 5) returning id")

        async def is_under_way() -> bool:
            return marker.exists() or await ledger.one(UNDER_WAY, [id_ for (id_,) in new]) > 0

        await eventually(is_under_way)

    async with started(**settings, **armed) as service:
        await service.logs("api")
        for _ in range(12):
            await insert()
        await crashed(service, fault)
        if not fault.in_parent:
            await ledger.everything_is_done(60, within=90)
    if fault.in_parent:
        async with running(**settings):
            await ledger.everything_is_done(60, within=90)
    await ledger.check()
    rows = await ledger.rows("select data -> 'new' ->> 'id' from cdc_state.events order by id")
    assert [int(id_) for (id_,) in rows] == list(range(1, 61))
    if fault.point == "step.ran":  # a batch of the journal may hold nothing but ends of runs
        assert await ledger.repeated_bodies()


async def kill_the_worker(service: Service, ledger: Ledger) -> None:
    (pid,) = await workers(ledger.connection)
    os.kill(pid, SIGKILL)
    await service.logs("worker process died")


async def test_bodies_that_a_killed_worker_was_at_run_again_and_no_others(
    ledger: Ledger, migrated_url: str, tmp_path: Path
) -> None:
    settings = write_function(tmp_path / "functions", migrated_url, "rows")
    gate = tmp_path / "open"
    async with running(**settings, GATE=gate) as service:
        await ledger.insert(50)
        await ledger.work_is_under_way(50)
        await kill_the_worker(service, ledger)
        gate.touch()
        await ledger.everything_is_done(50, within=90)
    await ledger.check()
    runs = await ledger.rows("select id::text from cdc_state.runs")
    assert await ledger.repeated_bodies() == {(run, "b"): 2 for (run,) in runs}


HOLD = held_at("insert on cdc_state.steps for each statement")
"""A result is written then, and its commit waits for whoever has the lock."""


async def test_a_result_that_was_written_and_not_committed_when_the_worker_died_is_recorded(
    ledger: Ledger, settings: Settings, migrated_url: str, connect: Connect
) -> None:
    other = await connect(migrated_url)
    await other.execute(HOLD)
    async with running(**settings) as service:
        async with other.transaction():
            await other.execute("select pg_advisory_xact_lock(1)")
            await ledger.insert(1)

            async def is_written() -> bool:
                return bool(
                    await ledger.one(
                        "select count(*) from pg_stat_activity"
                        " where wait_event = 'advisory' and datname = current_database()"
                    )
                )

            await eventually(is_written)
            await kill_the_worker(service, ledger)
        await ledger.everything_is_done(1, within=90)
    await ledger.check()
    assert await ledger.repeated_bodies() == {}
