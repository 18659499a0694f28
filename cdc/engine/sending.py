"""Events that steps send: their ids are the same whenever the step is taken again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from cdc.authoring.event import Event
from cdc.authoring.triggers import INVOKED, SIGNAL, is_taken
from cdc.engine import memo
from cdc.errors import NonRetriableError
from cdc.events import ids
from cdc.events.given import traceparent_of
from cdc.store.events import Extra, Incoming


def incoming(run_id: str, key: str, events: Sequence[Event], traceparent: str | None) -> list[Incoming]:
    """Events on their way in, in the trace of their step; where that has none, in the one that each came with.

    Raises:
        NonRetriableError: a name is not for an event of one's own, or the data is not JSON.
    """
    for event in events:
        if is_taken(event.name):
            raise NonRetriableError(f"step {key!r}: {event.name!r} is not a name for an event of your own")
    return [
        _incoming(run_id, key, index, event, traceparent or traceparent_of(event.traceparent))
        for index, event in enumerate(events)
    ]


def signal(run_id: str, key: str, name: str, data: dict[str, Any], traceparent: str | None) -> list[Incoming]:
    """A signal on its way in."""
    return [_incoming(run_id, key, 0, Event(f"{SIGNAL}{name}", data), traceparent)]


def invocation(run_id: str, key: str, data: dict[str, Any], traceparent: str | None) -> Incoming:
    """The event of a run that a step invokes."""
    return _incoming(run_id, key, 0, Event(INVOKED, data), traceparent)


def _incoming(run_id: str, key: str, index: int, event: Event, traceparent: str | None) -> Incoming:
    data = memo.dump(f"the data of {event.name}", event.data).encode()
    ts = event.ts * 1000 if event.ts else time.time_ns() // 1000
    extra = None
    if event.id or event.ts or event.user or event.v:
        user = memo.dump(f"the user of {event.name}", event.user).encode() if event.user else None
        extra = Extra(event.id or None, user, event.v, bool(event.ts))
    return Incoming(ids.of_step(run_id, key, index), event.name, ts, data, None, extra, None, traceparent)
