"""What starts the runs that a run has deferred, when it ends: one event for each, whichever way it ends."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from cdc.events import ids
from cdc.store import deferred
from cdc.store.connect import Connection
from cdc.store.deferred import Deferred
from cdc.store.events import Incoming
from cdc.store.json import document

DEFERRED = "inngest/deferred.schedule"
"""A deferred function starts on those that name it (`event.data._inngest.fn_slug`)."""


async def due(conn: Connection, run_ids: Sequence[str]) -> list[Incoming]:
    """The events to take in for what these runs, which end in the caller's transaction, have deferred."""
    return [_event(each) for each in await deferred.of_ended(conn, run_ids)]


def event_of(run_id: str, key: str) -> UUID:
    """The id of the event that starts what a run has deferred under this key."""
    return UUID(bytes=ids.of_step(run_id, key, 0))


def parent_of(name: str, data: Any) -> str | None:
    """The run that deferred the one which this event started, if one did."""
    told = data.get("_inngest") if name == DEFERRED and isinstance(data, Mapping) else None
    return str(told["parent_run_id"]) if isinstance(told, Mapping) and "parent_run_id" in told else None


def _event(each: Deferred) -> Incoming:
    """Its id is the same whenever the commit is repeated."""
    parent = {
        "fn_slug": each.data["function"],
        "parent_fn_slug": each.function_id,
        "parent_run_id": each.run_id,
    }
    data = document({**each.data["input"], "_inngest": parent}).encode()
    return Incoming(event_of(each.run_id, each.key).bytes, DEFERRED, time.time_ns() // 1000, data, None)
