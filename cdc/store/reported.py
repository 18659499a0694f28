"""Steps that apps tell of while their runs go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cdc.store import ai_calls
from cdc.store.ai_calls import CallRecord
from cdc.store.arrays import plain, quoted
from cdc.store.connect import Connection
from cdc.store.queries import text


class Told(NamedTuple):
    """A step that ended: `data` or `error` is JSON, `took` is in seconds; `call` is that of a model, if it was one."""

    id: str
    kind: str
    data: str | None = None
    error: str | None = None
    took: float = 0.0
    call: CallRecord | None = None


class Report(NamedTuple):
    """Steps of a run in the order in which they ended, and the claim under which the app was called. Each step once."""

    run_id: str
    worker_id: int
    claims: int
    steps: Sequence[Told]


class Recorded(NamedTuple):
    """Which of the runs are held by the claims that they were told under, and which (run, step) were recorded now."""

    held: frozenset[str]
    steps: frozenset[tuple[str, str]]


async def record(conn: Connection, reports: Sequence[Report]) -> Recorded:
    """Record what was reported, steps in one statement; each run is in one report."""
    steps = [(report.run_id, place, step) for report in reports for place, step in enumerate(report.steps)]
    parameters = {
        "run_ids": plain(report.run_id for report in reports),
        "worker_ids": plain(report.worker_id for report in reports),
        "run_claims": plain(report.claims for report in reports),
        "step_run_ids": plain(run_id for run_id, _, _ in steps),
        "step_ids": quoted(step.id for _, _, step in steps),
        "kinds": plain(step.kind for _, _, step in steps),
        "places": plain(place for _, place, _ in steps),
        "data": quoted(step.data for _, _, step in steps),
        "errors": quoted(step.error for _, _, step in steps),
        "tooks": plain(step.took for _, _, step in steps),
    }
    row = await (await conn.execute(text("steps/checkpoint"), parameters)).fetchone()
    assert row is not None, "it selects no table"
    held, run_ids, ids = row
    recorded = Recorded(frozenset(held), frozenset(zip(run_ids, ids, strict=True)))
    calls = [step.call for run_id, _, step in steps if step.call is not None and (run_id, step.id) in recorded.steps]
    await ai_calls.write(conn, calls)
    return recorded
