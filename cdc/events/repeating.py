"""Gives the events of runs to new runs of the same functions, past their triggers and under their flow control.

One of them may begin at a step, with the memos of those before, and have another input there or another event.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from cdc.authoring.event import Event
from cdc.events import start, traces
from cdc.events.intake import new_id
from cdc.events.match import Start
from cdc.events.start import Wanted
from cdc.store import events, gates, runs
from cdc.store.connect import Connection
from cdc.store.events import Extra, Incoming
from cdc.store.json import document
from cdc.store.runs import Given
from cdc.store.starts import uuid

_WITHOUT_INPUT = {"sleep": "a sleep", "wait": "a wait"}


@dataclass(frozen=True, slots=True)
class Edits:
    """Where a replay begins, and what is other in it: the input of the step that it begins at, the data of the event.

    Raises:
        ValueError: an input without a step.
    """

    from_step: str | None = None
    input: Any = None
    data: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.input is not None and self.from_step is None:
            raise ValueError("an input is that of a step: say which one the replay begins from")


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
    await _create(conn, wanted, repeated)
    return repeated


async def repeat_from(conn: Connection, functions: Mapping[str, Start], run_id: str, edits: Edits) -> Repeated:
    """The same of one run, with edits."""
    repeated = Repeated(skipped={run_id: "there is no such run"})
    wanted = await _wanted(conn, functions, await runs.repeatable(conn, [run_id]), repeated)
    if not wanted:
        return repeated
    (want,) = wanted
    if (reason := await _reason_against(conn, run_id, want, edits)) is not None:
        repeated.skipped[run_id] = reason
        return repeated
    changed = want if edits.data is None else want._replace(event=_edited(want.event, edits.data))
    await _create(conn, [changed], repeated)
    if (new := repeated.runs.get(run_id)) is not None:
        if edits.data is not None:
            await events.edit(conn, uuid(changed.event.id), uuid(want.event.id), changed.event.data.decode())
            traces.accepted([changed.event._replace(ts=time.time_ns() // 1000)])
        if edits.from_step is not None:
            edit = None if edits.input is None else document(edits.input)
            await runs.begin_from(conn, new, run_id, edits.from_step, edit)
    return repeated


async def _create(conn: Connection, wanted: Sequence[Wanted], repeated: Repeated) -> None:
    decided = await start.create(conn, wanted, new_id)
    for run in decided.runs:
        repeated.runs[run["replays"]] = run["id"]
        del repeated.skipped[run["replays"]]
    turns = {run["turn"] for run in decided.runs if run["turn"]}
    if turns:
        await gates.give_turns(conn, turns)


async def _reason_against(conn: Connection, run_id: str, want: Wanted, edits: Edits) -> str | None:
    """Why a run cannot be replayed with these edits; None when it can."""
    if edits.data is not None and want.others:
        return f"it has {len(want.others) + 1} events, and data can take the place of one event's only"
    if (step := edits.from_step) is None:
        return None
    if (found := await runs.editable(conn, run_id, step)) is None:
        return f"it has no step {step!r}"
    kind, is_known = found
    if edits.input is None or (is_known and kind not in _WITHOUT_INPUT):
        return None
    if kind in _WITHOUT_INPUT:
        return f"step {step!r} is {_WITHOUT_INPUT[kind]}, which has no input that could be another"
    return (
        f"of step {step!r} no input is known that could be another: it has none, or one of more than 16 kB, or "
        "CDC_AI_CONTENT=drop is set"
    )


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


def _edited(event: Incoming, data: Mapping[str, Any]) -> Incoming:
    """A copy of an event that nobody sent, with other data."""
    extra = event.extra._replace(given_id=None) if event.extra else None
    return event._replace(id=new_id(), data=document(data).encode(), extra=extra)


def _incoming(id_: str, event: Event) -> Incoming:
    """A stored event, as flow control looks at those on their way in; its time has come."""
    user = document(event.user).encode() if event.user else None
    extra = Extra(event.id if event.id != id_ else None, user, event.v)
    return Incoming(
        UUID(id_).bytes,
        event.name,
        event.ts * 1000,
        document(event.data).encode(),
        None,
        extra,
        None,
        event.traceparent,
    )
