"""Sends every row event on to a cluster, from what is stored: a cluster that is away holds up no WAL.

In each source's own order, at least once; the cluster knows an event again by its id. One service at a time sends those
of a source: it holds the source's row in the state for a while, and anew with each request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID, uuid4

import structlog

from cdc.clock import set_within
from cdc.cluster.event_api import MOST_BYTES, MOST_EVENTS, EventApi, Refused, Unsent, size
from cdc.errors import CdcError
from cdc.events import ids
from cdc.lsn import Position
from cdc.store import forwards
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble
from cdc.store.forwards import Hold, Range, Standing, Waiting

log = structlog.get_logger(__name__)

POLL = 5.0
"""Seconds between looks, should a wake-up be lost."""

_HOLD = 40.0
"""Seconds; longer than a request may take."""

_LAST_WORD = 1.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0

_MANY = 20
_SLOWLY = 60.0
"""So many refused in a row, and none taken: it may be that the cluster takes nothing, and that somebody should look.
From then on one is passed in so many seconds.
"""

COUNTED = 10_000
"""The most that is counted of a backlog."""


class Taken(Exception):
    """Another service sends on the events of this source now."""


class Forwarder:
    """Sends on what is there whenever it is woken, and looks by itself now and then."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], api: EventApi, *, poll: float = POLL) -> None:
        self._connect = connect
        self._api = api
        self._poll = poll
        self._holder = uuid4()
        self._awake = asyncio.Event()
        self._looked: dict[int, UUID] = {}
        self._lost: dict[int, int] = {}
        self._held: set[int] = set()
        self._refused = 0
        self._reason = ""
        self.pause = 0.0
        """Seconds until it tries again, after a failure."""

    def wake(self) -> None:
        """There may be events to send on."""
        self._awake.set()

    async def begin(self) -> None:
        """Have it be known that events are sent on from now on: before the first of them is accepted."""
        async with await self._connect() as conn:
            await self._standing(conn, anew=True)

    async def forward_forever(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        """Send over connections of these, and try again for ever."""
        while True:
            try:
                async with await connect() as conn:
                    while True:
                        await self.forward(conn)
                        await self._rest()
            except (*ConnectionTrouble, CdcError) as error:
                log.warning("events wait to be sent on", reason=str(error).strip(), seconds=self._poll)
                await asyncio.sleep(self._poll)

    async def forward(self, conn: Connection) -> None:
        """Send on all that is there now, a request of each source in turn. What the cluster does not take waits."""
        self._awake.clear()
        try:
            while await self._round(conn):
                pass
        except Unsent as unsent:
            self._put_off(unsent)
        else:
            if self._reason:
                log.info("events are sent on again", to=self._api.target.origin)
            self.pause, self._reason = 0.0, ""

    async def measure(self, conn: Connection) -> list[tuple[str, int, float]]:
        """Of each source its name, how many events wait, and for how many seconds the oldest has."""
        found: dict[str, tuple[int, float]] = {}
        for each in await forwards.standing(conn):
            if each.place is not None:
                until = _after(each.source_id, each.accepted)
                count, age = await forwards.backlog(conn, Range(each.source_id, each.place, until), limit=COUNTED)
                known = found.get(each.name, (0, 0.0))
                found[each.name] = known[0] + count, max(known[1], age)
        return [(name, *numbers) for name, numbers in found.items()]

    async def close(self) -> None:
        """Let another service send at once, unless the database is away."""
        await self._api.close()
        if self._held:
            with suppress(*ConnectionTrouble, CdcError, TimeoutError):
                async with asyncio.timeout(_LAST_WORD), await self._connect() as conn:
                    for source_id in self._held:
                        await forwards.release(conn, self._hold(source_id), None)

    # --- one round ----------------------------------------------------------------------------------------------

    async def _round(self, conn: Connection) -> bool:
        """One request of each source; whether there may be more to send."""
        more = False
        busy: set[str] = set()
        for each in await self._standing(conn):
            # What an older incarnation of the source left goes first.
            if each.name not in busy and await self._turn(conn, each):
                busy.add(each.name)
                more = True
        return more

    async def _standing(self, conn: Connection, *, anew: bool = False) -> Sequence[Standing]:
        found = await forwards.standing(conn)
        new = [each for each in found if each.place is None]
        if new or anew:
            await forwards.begin(conn, {each.source_id: _after(each.source_id, each.accepted) for each in new})
            found = await forwards.standing(conn)
        for each in found:
            if each.lost > self._lost.setdefault(each.source_id, 0):
                log.error(
                    "events were deleted by age (CDC_RETENTION) before they were sent on",
                    source=each.name,
                    events=each.lost,
                )
                self._lost[each.source_id] = each.lost
        return found

    async def _turn(self, conn: Connection, of: Standing) -> bool:
        """Send what one request takes; False: there is nothing, or another service sends it."""
        until = _after(of.source_id, of.accepted)
        if not await self._is_there(conn, of, until):
            return False
        hold = self._hold(of.source_id)
        place = await forwards.claim(conn, hold)
        if place is None:
            return False
        self._held.add(of.source_id)
        page = await forwards.page(conn, Range(of.source_id, place, until), limit=MOST_EVENTS, bytes=MOST_BYTES)
        try:
            await self._send(conn, hold, of.name, page)
        except Unsent as unsent:
            await forwards.release(conn, hold, str(unsent))
            raise
        except Taken:
            return False
        return bool(page)

    async def _is_there(self, conn: Connection, of: Standing, until: UUID) -> bool:
        """Whether anything is to be sent; where nothing was, nobody looks again."""
        assert of.place is not None, "it was begun"
        first = max(of.place, self._looked.get(of.source_id, of.place))
        if first >= until:
            return False
        count, _ = await forwards.backlog(conn, Range(of.source_id, first, until), limit=1)
        if not count:
            self._looked[of.source_id] = until
        return count > 0

    def _hold(self, source_id: int) -> Hold:
        return Hold(source_id, self._holder, _HOLD)

    async def _send(self, conn: Connection, hold: Hold, source: str, events: Sequence[Waiting]) -> None:
        """Send these; halve them until a guilty one stands alone, and pass that."""
        left = _requests(events)
        while left:
            request = left.pop(0)
            try:
                await self._api.send(request)
            except Refused as refused:
                if refused.taken:
                    self._refused = 0
                    await self._advance(conn, hold, request[refused.taken - 1], sent=refused.taken)
                    request = request[refused.taken :]
                if len(request) == 1:
                    await self._pass(conn, hold, source, request[0], str(refused))
                else:
                    middle = len(request) // 2
                    left[:0] = [request[:middle], request[middle:]]
            else:
                self._refused = 0
                await self._advance(conn, hold, request[-1], sent=len(request))

    async def _pass(self, conn: Connection, hold: Hold, source: str, event: Waiting, reason: str) -> None:
        """Go on after an event that the cluster never takes.

        Raises:
            Unsent: it takes none at all.
        """
        log.error(
            "the cluster refuses an event, which is passed",
            source=source,
            id=str(event.id),
            name=event.name,
            reason=reason,
        )
        await self._advance(conn, hold, event, refused=1)
        self._refused += 1
        if self._refused >= _MANY:
            raise Unsent(f"it refuses one event after the other: {reason}", _SLOWLY)

    async def _advance(self, conn: Connection, hold: Hold, last: Waiting, *, sent: int = 0, refused: int = 0) -> None:
        place = _after(*ids.to_position(last.id.bytes))
        if not await forwards.advance(conn, hold, place, sent=sent, refused=refused):
            raise Taken

    # --- between rounds -----------------------------------------------------------------------------------------

    def _put_off(self, unsent: Unsent) -> None:
        self.pause = min(max(self.pause * 2, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        self.pause = max(self.pause, unsent.after or 0.0)
        if str(unsent) != self._reason:
            log.warning(
                "events wait for the cluster", to=self._api.target.origin, reason=str(unsent), seconds=self.pause
            )
        self._reason = str(unsent)

    async def _rest(self) -> None:
        """Until a wake-up, or for a while; after a failure for as long as it says."""
        if self.pause:
            await asyncio.sleep(self.pause)
        else:
            await set_within(self._awake, self._poll)


def _after(source_id: int, position: Position) -> UUID:
    """The id of what would stand right after a position: all that is at it or before it comes first."""
    return UUID(bytes=ids.of_position(source_id, position._replace(ordinal=position.ordinal + 1)))


def _requests(events: Sequence[Waiting]) -> list[Sequence[Waiting]]:
    """In their order, each as large as a request may be."""
    found: list[list[Waiting]] = [[]]
    room = MOST_BYTES
    for event in events:
        room -= size(event)
        if room < 0 and found[-1]:
            found.append([])
            room = MOST_BYTES - size(event)
        found[-1].append(event)
    return list(found)
