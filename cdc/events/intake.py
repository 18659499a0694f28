"""What every event goes through, whichever door it enters by: stored, matched, its runs started, its waits fulfilled.

All of it happens in the caller's transaction, which must have locked the events' names (`waits.lock_names`) first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import uuid_utils

from cdc.events import ending, fulfil, start, traces
from cdc.events.match import NOT_JUDGED, Changed, Registry
from cdc.events.start import Decided, Wanted
from cdc.store import events as store
from cdc.store import gates, runs, waits
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.starts import uuid


class Taken(NamedTuple):
    """How many runs were started, and whether any may be claimed now: those or others that go on."""

    runs: int
    due: bool


async def take(
    conn: Connection,
    registry: Registry,
    incoming: Sequence[Incoming],
    *,
    source_id: int | None = None,
    directed: Sequence[Wanted] = (),
    changed: Changed = NOT_JUDGED,
    matching: Registry | None = None,
) -> Taken:
    """Take events in. Those of `directed` are stored, too, and start exactly the function that is named with them.

    Of updates, `changed` tells which columns that triggers narrow on they changed. The events are matched against
    `matching` instead, if that is given.

    What this cancels is an event in its turn, and so on until nothing more comes of it.
    """
    count, due = 0, False
    while incoming or directed:
        stored = [*incoming, *(want.event for want in directed)]
        await store.insert_events(conn, source_id, stored)
        started = (matching or registry).match(await start.unrepeated(conn, incoming), new_id, changed)
        wanted = [*(Wanted(*ruled) for ruled in started.ruled), *directed]
        decided = await start.create(conn, wanted, new_id)
        await store.insert_runs(conn, started.runs)
        if started.paused:
            await runs.hold_paused(conn, [uuid(run.id) for run in started.paused])
        met = await fulfil.meet(conn, stored, decided.begun)
        woken = await waits.fulfil(conn, met.fulfilled) if met.fulfilled else 0
        finished = bool(registry.started_by(ending.FINISHED))
        ended = await ending.cancel(conn, {**_replaced(decided), **_cancelled(met)}, finished=finished)
        woken += await ending.refuse(conn, decided.refused)
        turns = {run["turn"] for run in decided.runs if run["turn"]}
        given = bool(turns) and await gates.give_turns(conn, turns)
        count += len(started.runs) + len(decided.runs)
        due = due or given or ended.due or woken > 0 or bool(started.runs or decided.runs)
        if source_id is None:  # of row changes the listener tells, when they are durable
            traces.accepted(stored)
        incoming, directed, source_id, matching = ended.events, (), None, None
    return Taken(count, due)


def new_id() -> bytes:
    """A UUID of version 7: newest last."""
    return uuid_utils.uuid7().bytes


def _replaced(decided: Decided) -> dict[str, str]:
    return dict.fromkeys(decided.cancelled, "a newer run of this singleton took its place")


def _cancelled(met: fulfil.Met) -> dict[str, str]:
    return {run_id: f"cancelled by the event {event.name} ({event.id})" for run_id, event in met.cancelled.items()}


def names(incoming: Iterable[Incoming]) -> set[str]:
    """The names to lock before these events are taken in: theirs, and those of what they may cause."""
    return {event.name for event in incoming} | {ending.CANCELLED}
