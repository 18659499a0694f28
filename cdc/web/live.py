"""`GET /live`: pages are told that there is more to see (server-sent events), and load themselves again.

What changed is asked of the database, which knows what other replicas did, too: once in a while for all who watch the
same, and only while somebody does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cdc.clock import set_within
from cdc.store import watching
from cdc.store.failures import ConnectionTrouble, PoolTimeout
from cdc.web.answers import uuid_of
from cdc.web.site import Connecting, Site

MOST = 100
"""Pages that may be watched at a time: each is an open connection."""

EVERY: Final = 1.0
"""Seconds from one look to the next."""

EVERY_OF_FIGURES: Final = 5.0
"""The same of pages that sum up: they cost more to draw, and say what happened in minutes."""

_LISTS = {"events", "runs"}

EVERY_OF_RUNNING: Final = 0.4
"""The same of a run that executes."""

_SILENCE = 15.0
"""Seconds after which something is said even if there is nothing new: proxies end what is silent."""

_RUN = "run:"


def route(site: Site) -> Route:
    """The one route."""
    watched = _Watched(site)

    async def live(request: Request) -> Response:
        topic = request.query_params.get("topic", "")
        if topic.startswith(_RUN):
            topic = _RUN + uuid_of(topic.removeprefix(_RUN))
        elif topic not in watching.TOPICS:
            raise HTTPException(404, f"There is no such topic; there are {', '.join(watching.TOPICS)} and run:<id>.")
        if watched.viewers >= MOST:
            raise HTTPException(503, f"{MOST} pages are watched already.", {"retry-after": "30"})
        return Response() if request.method == "HEAD" else _Stream(watched, topic)

    return Route("/live", live)


class _Topic:
    """What was seen of a topic last, and how often it has changed."""

    def __init__(self, name: str, connection: Connecting) -> None:
        self._name = name
        self._connection = connection
        self._looked = 0.0
        self._seen: tuple[Any, ...] | None = None
        self._looking = asyncio.Lock()
        self.every = EVERY if name in _LISTS or name.startswith(_RUN) else EVERY_OF_FIGURES
        self.changes = 0
        self.viewers = 0

    async def look(self) -> None:
        """Ask the database, unless another viewer did just now; one that does not answer has nothing new."""
        async with self._looking:
            if time.monotonic() - self._looked < self.every * 0.9:
                return
            with suppress(PoolTimeout, *ConnectionTrouble):
                seen = await self._ask()
                self.changes += seen != self._seen
                self._seen = seen
            self._looked = time.monotonic()

    async def _ask(self) -> tuple[Any, ...] | None:
        async with self._connection() as conn:
            if not self._name.startswith(_RUN):
                return await watching.seen(conn, self._name)
            run = await watching.seen_of_run(conn, self._name.removeprefix(_RUN))
        self.every = EVERY_OF_RUNNING if run and run[0] == "running" else EVERY
        return run


class _Watched:
    """The topics that somebody watches now."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._topics: dict[str, _Topic] = {}
        self.viewers = 0

    def join(self, name: str) -> _Topic:
        topic = self._topics.setdefault(name, _Topic(name, self._site.state))
        topic.viewers += 1
        self.viewers += 1
        return topic

    def leave(self, name: str) -> None:
        topic = self._topics[name]
        topic.viewers -= 1
        self.viewers -= 1
        if not topic.viewers:
            del self._topics[name]

    async def told(self, topic: _Topic) -> AsyncIterator[bytes]:
        """Says how often the topic has changed: at once, and whenever it does again, until the server stops."""
        await topic.look()
        known, said = topic.changes, time.monotonic()
        yield b"retry: 2000\ndata: %d\n\n" % known
        while not self._site.stopping.is_set():
            if await set_within(self._site.stopping, topic.every):
                return
            await topic.look()
            if topic.changes != known:
                known, said = topic.changes, time.monotonic()
                yield b"data: %d\n\n" % known
            elif time.monotonic() - said >= _SILENCE:
                said = time.monotonic()
                yield b":\n\n"


class _Stream(StreamingResponse):
    """One page that is told; it counts as long as its connection is open."""

    def __init__(self, watched: _Watched, topic: str) -> None:
        self._watched = watched
        self._name = topic
        self._topic = watched.join(topic)
        super().__init__(
            watched.told(self._topic),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, until either side ends it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watched.leave(self._name)
