"""What starts the runs that a run has deferred, when it ends: one event for each, whichever way it ends."""

from __future__ import annotations

import time
from collections.abc import Sequence

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


def _event(each: Deferred) -> Incoming:
    """Its id is the same whenever the commit is repeated."""
    parent = {
        "fn_slug": each.data["function"],
        "parent_fn_slug": each.function_id,
        "parent_run_id": each.run_id,
    }
    data = document({**each.data["input"], "_inngest": parent}).encode()
    return Incoming(ids.of_step(each.run_id, each.key, 0), DEFERRED, time.time_ns() // 1000, data, None)
