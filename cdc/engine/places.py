"""Claims runs of functions with concurrency limits or throttles, in one transaction with their gates locked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cdc.authoring.function import Function
from cdc.engine.admission import Flows, admit
from cdc.store import gates, runs
from cdc.store.connect import Connection
from cdc.store.runs import ClaimedRun


class Claimed(NamedTuple):
    """The runs claimed, and whether there may be more to claim at once."""

    runs: list[ClaimedRun]
    more: bool


async def claim(conn: Connection, worker_id: int, flows: Flows, limit: int) -> Claimed:
    """Claim up to `limit` due runs of these functions that find a place; the others stand aside until there is one."""
    async with conn.transaction():
        candidates = await runs.candidates(conn, worker_id, list(flows), limit)
        if not candidates:
            return Claimed([], more=False)
        locked = await gates.lock(conn, {name for run in candidates for name in run.gates})
        admission = admit(candidates, locked, flows)
        await gates.write(conn, list(locked.values()))
        if admission.held or admission.booked:
            await runs.hold(conn, admission.held, admission.booked)
        claimed = await runs.admit(conn, worker_id, admission.admitted) if admission.admitted else []
        called = await gates.call(conn, admission.room)
    return Claimed(claimed, more=called or len(candidates) == limit)


def gated(functions: Iterable[Function]) -> Flows:
    """The flow control of those of these functions whose runs have gates."""
    return {
        function.id: function.definition()["flow"]
        for function in functions
        if "concurrency" in function.flow or "throttle" in function.flow
    }
