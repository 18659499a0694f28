"""What the end of a run sets in motion: places and turns are passed on, its invoker answered, the world told."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from uuid import UUID

import orjson

from cdc.authoring.function import FAILED as FAILED
from cdc.events import deferring, ids, traces
from cdc.events.start import Wanted
from cdc.store import events, gates, inferences, runs, waits
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.json import document

FINISHED = "inngest/function.finished"
CANCELLED = "inngest/function.cancelled"

_SILENT = (FINISHED, FAILED, CANCELLED)
"""Runs that these events started end without events of their own, or one failure would tell of itself for ever."""


class Ended(NamedTuple):
    """The runs that ended, the events to take in next, and whether any run may be claimed now."""

    runs: list[str]
    events: list[Incoming]
    due: bool


async def settle(conn: Connection, run_ids: Sequence[str]) -> bool:
    """After runs left their worker, in the same transaction: free what they held, tell who waits for them.

    Returns whether that made any run due.
    """
    answered = await runs.answer(conn, run_ids)
    await waits.drop(conn, run_ids)
    called = await gates.free(conn, run_ids)
    passed = await gates.pass_turns(conn, run_ids)
    return called or answered or passed


async def cancel(conn: Connection, reasons: Mapping[str, str], *, finished: bool = False) -> Ended:
    """Cancel runs where they are unfinished, each for its reason; `finished`: somebody listens to `FINISHED`."""
    by_reason: dict[str, list[str]] = {}
    for run_id, reason in reasons.items():
        by_reason.setdefault(reason, []).append(run_id)
    ended = Ended([], [], False)
    due = False
    for reason, run_ids in by_reason.items():
        error = {"name": "RunCancelled", "message": reason}
        cancelled = await runs.cancel(conn, run_ids, orjson.dumps(error).decode())
        if cancelled:
            ended.runs.extend(run.id for run in cancelled)
            due |= await settle(conn, [run.id for run in cancelled])
            await inferences.forget_content(conn, [run.id for run in cancelled])
            await traces.cancelled(conn, cancelled)
            ended.events.extend(await deferring.due(conn, [run.id for run in cancelled]))
            loaded = await events.load(conn, {id_ for run in cancelled for id_ in run.event_ids})
            for run in cancelled:
                started_by = [loaded[id_].as_dict() for id_ in run.event_ids if id_ in loaded]
                for name in (CANCELLED, FINISHED) if finished else (CANCELLED,):
                    ended.events.extend(lifecycle(name, run.id, run.function_id, started_by, "Cancelled", error=error))
    return ended._replace(due=due)


async def refuse(conn: Connection, refused: Sequence[Wanted]) -> int:
    """Tell the invokers of runs that flow control did not let start; how many runs go on with that."""
    invokers = [want.invoker for want in refused if want.invoker]
    error = {"name": "RunSkipped", "message": "flow control of the invoked function did not let it start"}
    return await runs.refuse_steps(conn, [(*invoker, error) for invoker in invokers]) if invokers else 0


def lifecycle(
    name: str,
    run_id: str,
    function_id: str,
    started_by: Sequence[Mapping[str, Any]],
    status: Literal["Completed", "Failed", "Cancelled"],
    *,
    result: Any = None,
    error: Mapping[str, Any] | None = None,
) -> list[Incoming]:
    """The event that tells of a run's end; none of a run that such an event started.

    A run fails or is cancelled once, so that event has the run's id; `FINISHED` has one made from it.
    """
    if started_by and started_by[0]["name"] in _SILENT:
        return []
    ended = {"result": result} if error is None else {"error": _told(error)}
    data = {
        "function_id": function_id,
        "run_id": run_id,
        "event": started_by[0] if started_by else None,
        "events": started_by,
        **ended,
        "_inngest": {"status": status},
    }
    event_id = ids.of_step(run_id, name, 0) if name == FINISHED else UUID(run_id).bytes
    return [Incoming(event_id, name, time.time_ns() // 1000, document(data).encode(), None)]


def _told(error: Mapping[str, Any]) -> dict[str, Any]:
    """An error as events tell it; the `code` of an SDK is nobody else's business."""
    known = {key: value for key, value in error.items() if key != "code" and value is not None}
    return {"error": error["message"], **known}
