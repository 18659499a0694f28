"""Gives the events of runs to new runs of the same functions, past their triggers and under their flow control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cdc.authoring.event import Event
from cdc.events import start
from cdc.events.intake import new_id
from cdc.events.match import Start
from cdc.events.start import Wanted
from cdc.store import events, gates, runs
from cdc.store.connect import Connection
from cdc.store.events import Extra, Incoming
from cdc.store.json import document
from cdc.store.runs import Given


@dataclass(slots=True)
class Repeated:
    """The new runs by the run that each replays, and why others have none."""

    runs: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)


async def repeat(conn: Connection, functions: Mapping[str, Start], run_ids: Sequence[str]) -> Repeated:
    """Create a run for each of these, in the caller's transaction, which has locked the registry's readers in
    (`waits.lock_names`).
    """
    repeated = Repeated(skipped=dict.fromkeys(run_ids, "there is no such run"))
    wanted = await _wanted(conn, functions, await runs.repeatable(conn, run_ids), repeated)
    decided = await start.create(conn, wanted, new_id)
    for run in decided.runs:
        repeated.runs[run["replays"]] = run["id"]
        del repeated.skipped[run["replays"]]
    turns = {run["turn"] for run in decided.runs if run["turn"]}
    if turns:
        await gates.give_turns(conn, turns)
    return repeated


async def _wanted(
    conn: Connection, functions: Mapping[str, Start], given: Sequence[Given], repeated: Repeated
) -> list[Wanted]:
    """The runs that can be replayed; why the others cannot is noted."""
    loaded = await events.load(conn, {id_ for run in given for id_ in run.event_ids})
    wanted = []
    for run in given:
        known = functions.get(run.function_id)
        if known is None:
            repeated.skipped[run.id] = f"there is no function {run.function_id!r} any more"
        elif not run.ended:
            repeated.skipped[run.id] = "it has not ended"
        elif any(id_ not in loaded for id_ in run.event_ids):
            repeated.skipped[run.id] = "its events are gone"
        else:
            repeated.skipped[run.id] = "another run of this singleton is under way"
            first, *others = run.event_ids
            wanted.append(Wanted(known, _incoming(first, loaded[first]), None, run.id, others))
    return wanted


def _incoming(id_: str, event: Event) -> Incoming:
    """A stored event, as flow control looks at those on their way in; its time has come."""
    user = document(event.user).encode() if event.user else None
    extra = Extra(event.id if event.id != id_ else None, user, event.v)
    return Incoming(UUID(id_).bytes, event.name, event.ts * 1000, document(event.data).encode(), None, extra)
