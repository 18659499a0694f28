"""A stored event once more: a new event of the same name, with the same data."""

from __future__ import annotations

import time

from cdc.authoring.triggers import INVOKED
from cdc.events.intake import new_id
from cdc.store import events
from cdc.store.connect import Connection
from cdc.store.events import Extra, Incoming
from cdc.store.json import document


class NotResent(ValueError):
    """This event would start nothing; says what to do instead."""


async def again(conn: Connection, event_id: str) -> Incoming | None:
    """The new event, for `Hands.take`. None: there is no such event.

    Raises:
        NotResent: it is of an invocation.
    """
    event = (await events.load(conn, [event_id])).get(event_id)
    if event is None:
        return None
    if event.name == INVOKED:
        raise NotResent("The event of an invocation starts only the run that it was made for: replay that run.")
    extra = Extra(None, document(event.user).encode() if event.user else None, event.v)
    data = document(event.data).encode()
    return Incoming(new_id(), event.name, time.time_ns() // 1000, data, None, extra if any(extra) else None)
