"""What functions publish, from service to service: a browser may listen at another one than the function publishes to.

By notifications, of which a message takes as many as it needs, gathered for a few milliseconds. Nothing is kept: where
the state database is away or behind a transaction pooler, only those hear who listen at the same service.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import orjson
import structlog

from cdc.clock import set_within
from cdc.errors import CdcError
from cdc.remote.realtime.hub import Hub, Published, Topic
from cdc.store import notifications, realtime
from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble

log = structlog.get_logger(__name__)

APART = 0.01
"""Seconds between two notifications at least."""

_MOST_WAITING = 2000
_MOST_AT_ONCE = 500
_PART = 1900
"""Characters, of which one may take four bytes."""

_QUIET = 30.0
"""Seconds without a word, after which it is looked whether anybody listens, and whether the server is still there."""

_PAUSE = 2.0


class Relay:
    """Passes on what is published at its `hub`, and tells the hub what others have published."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._name = secrets.token_hex(6)
        self._count = 0
        self._out: deque[Published] = deque()
        self._more = asyncio.Event()
        self._begun: dict[str, list[str]] = {}
        self.hub = Hub(self._pass_on, lambda: 2 * len(self._out) > _MOST_WAITING)

    async def tell_forever(self) -> None:
        """Tell the others, gathered."""
        while True:
            await self._more.wait()
            try:
                async with await self._connect() as conn:
                    await self._tell(conn)
            except (*ConnectionTrouble, CdcError) as error:
                log.warning("what was published stays in this service", reason=str(error).strip(), seconds=_PAUSE)
                self._out.clear()
                self._more.clear()
                await asyncio.sleep(_PAUSE)

    async def _tell(self, conn: Connection) -> None:
        """Until nothing was published for a while."""
        while True:
            if not await set_within(self._more, _QUIET):
                return
            await realtime.notify(conn, [*self._taken()])
            await asyncio.sleep(APART)

    async def hear_forever(self) -> None:
        """Hear the others, while somebody listens here."""
        while True:
            await self.hub.listened.wait()
            try:
                async with await self._connect() as conn:
                    await self._hear(conn)
            except (*ConnectionTrouble, CdcError, TimeoutError) as error:
                log.debug("what others publish is not heard", reason=str(error).strip(), seconds=_PAUSE)
                await asyncio.sleep(_PAUSE)

    async def _hear(self, conn: Connection) -> None:
        while self.hub.listened.is_set():
            async with asyncio.timeout(_QUIET):
                await realtime.listen(conn)
            while heard := await notifications.received(conn, within=_QUIET):
                for part in heard:
                    self._take(part)

    def _pass_on(self, published: Published) -> None:
        if len(self._out) < _MOST_WAITING:
            self._out.append(published)
            self._more.set()

    def _taken(self) -> Iterator[str]:
        for _ in range(min(_MOST_AT_ONCE, len(self._out))):
            yield from self._parts(self._out.popleft())
        if not self._out:
            self._more.clear()

    def _parts(self, published: Published) -> Iterator[str]:
        """Each with who sent it, which message it is of, and how many are to come."""
        self._count += 1
        text = orjson.dumps([*published.topic, published.text]).decode()
        pieces = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        for left, piece in zip(reversed(range(len(pieces))), pieces, strict=True):
            yield f"{self._name} {self._count} {left} {piece}"

    def _take(self, part: str) -> None:
        """One part; those of a message come one after the other."""
        sender, _, rest = part.partition(" ")
        number, _, rest = rest.partition(" ")
        left, _, piece = rest.partition(" ")
        if sender == self._name:
            return
        pieces = self._begun.setdefault(sender, [])
        if pieces and pieces[0] != number:  # the rest of that one was not heard
            pieces.clear()
        pieces[:] = [number, *pieces[1:], piece]
        if left == "0":
            with suppress(ValueError):  # its begin was not heard, or it is not ours
                channel, name, text = orjson.loads("".join(self._begun.pop(sender)[1:]))
                self.hub.tell(Published(Topic(channel, name), text))
