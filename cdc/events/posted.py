"""Events that applications send: taken in by a transaction of their own, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from cdc.events import intake
from cdc.events.intake import Taken
from cdc.events.outbox import Outbox
from cdc.store import events as store
from cdc.store import waits
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.failures import Deadlocked, EventRepeated

_ATTEMPTS = 10


async def take(conn: Connection, outbox: Outbox, incoming: Sequence[Incoming]) -> Taken:
    """Take events in; those that are stored already are passed over.

    Requests are seldom repeated: only when one seems to be it is asked what is stored.

    Raises:
        StatementFailed: the database failed, or cannot store one of them; none was accepted.
    """
    repeated = False
    for attempt in range(_ATTEMPTS):
        try:
            return await _transact(conn, outbox, incoming, repeated=repeated)
        except Deadlocked:
            if attempt + 1 == _ATTEMPTS:
                raise
        except EventRepeated:
            if attempt + 1 == _ATTEMPTS:
                raise
            repeated = True
    raise AssertionError("the last attempt returns or raises")


async def _transact(conn: Connection, outbox: Outbox, incoming: Sequence[Incoming], *, repeated: bool) -> Taken:
    few = store.are_few(incoming)
    async with conn.pipeline() if few else nullcontext(), conn.transaction():
        await waits.lock_names(conn, accepted=intake.names(incoming))
        return await outbox.add(conn, incoming, unseen=not repeated)
