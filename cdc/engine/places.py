"""Claims runs of functions with concurrency limits or throttles, in one transaction with their gates locked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from cdc.authoring.function import Function
from cdc.engine.admission import Flows, admit
from cdc.engine.admission import recall as to_recall
from cdc.store import gates, runs
from cdc.store.connect import Connection
from cdc.store.runs import ClaimedRun


class Claimed(NamedTuple):
    """The runs claimed, and whether there may be more to claim at once. `held`: runs stand at gates since."""

    runs: list[ClaimedRun]
    more: bool
    held: bool = False


async def claim(conn: Connection, worker_id: int, flows: Flows, limit: int, *, suspects: int = 0) -> Claimed:
    """Claim up to `limit` due runs of these functions that find a place; the others stand aside until there is one.

    Up to so many `suspects` come besides: runs whose worker died.
    """
    async with conn.transaction():
        candidates = await runs.candidates(conn, worker_id, list(flows), limit)
        filled = len(candidates) == limit
        if suspects and not filled:
            candidates += await runs.candidates(conn, worker_id, list(flows), suspects, suspect=True)
        if not candidates:
            return Claimed([], more=False)
        locked = await gates.lock(conn, {name for run in candidates for name in run.gates})
        before = {name: replace(gate) for name, gate in locked.items()}
        admission = admit(candidates, locked, flows)
        await gates.write(conn, [gate for gate in locked.values() if gate != before[gate.name]])
        if admission.held or admission.booked:
            await runs.hold(conn, admission.held, admission.booked)
        moment = max(gate.now for gate in locked.values())
        claimed = await runs.admit(conn, worker_id, admission.admitted, moment) if admission.admitted else []
        called = await gates.call(conn, admission.calls)
    return Claimed(claimed, called or filled, bool(admission.held))


async def recall(conn: Connection, flows: Flows) -> tuple[bool, bool]:
    """Call runs that stand at gates with room, where a call was lost or a limit has changed.

    Returns whether any was called, and whether any run of these functions stands anywhere.
    """
    standing = [run for run in await runs.standing(conn) if run.function_id in flows]
    if not standing:
        return False, False
    names = {name for run in standing for name in (*run.gates, run.held_at)}
    return await gates.call(conn, to_recall(standing, await gates.read(conn, names), flows)), True


def have_gates(flows: Flows) -> bool:
    """Whether runs of any of these functions have gates."""
    return any("concurrency" in flow or "throttle" in flow for flow in flows.values())


def flows_of(functions: Iterable[Function]) -> Flows:
    """The flow control of all of these functions: runs made before one lost its limits still have gates."""
    return {function.id: function.definition()["flow"] for function in functions}
