"""`/v1/realtime/...`: functions publish, servers get tokens for browsers, browsers listen (protocol section 6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from cdc.remote.realtime import grants, publishing
from cdc.remote.realtime.following import State, following
from cdc.remote.realtime.grants import NoGrant
from cdc.remote.realtime.hub import Full, Hub, Listener, TooSlow, Topic
from cdc.remote.realtime.publishing import TooLarge

_MOST_TOPICS = 100
_LONGEST = 1000
"""Characters of a channel or a topic."""

_STREAM = "$stream"
"""The topic of what is streamed without one."""

_SILENCE = 15.0
"""Seconds after which something is said even if there is nothing new: proxies end what is silent."""

_POLICY, _LATER = 1008, 1013


@dataclass(frozen=True, slots=True)
class Realtime:
    """What the routes work with. `stopping`: streams end. `key` is for tokens (`grants.key_of`). `state`: where runs
    are that somebody follows.
    """

    hub: Hub
    key: bytes = field(repr=False)
    stopping: asyncio.Event
    state: State | None = None

    def topics(self, token: str) -> frozenset[Topic]:
        """What a token is for.

        Raises:
            NoGrant: nothing, or nothing any more.
        """
        return grants.granted(self.key, token, time.time())

    @asynccontextmanager
    async def listening(self, topics: frozenset[Topic]) -> AsyncIterator[Listener]:
        """Listen for the length of the block, and follow the runs among the topics.

        Raises:
            Full: too many do.
        """
        with self.hub.listening(topics) as listener:
            async with following(self.state, topics, partial(self.hub.tell_one, listener)):
                yield listener


class _Refused(Exception):
    """What was asked is not right; says why."""


def routes(realtime: Realtime) -> list[BaseRoute]:
    """All of them."""

    async def publish(request: Request) -> Response:
        return await _publish(realtime.hub, request)

    async def tee(request: Request) -> Response:
        return await _tee(realtime.hub, request)

    async def token(request: Request) -> Response:
        try:
            topics = _wanted(await request.body())
        except _Refused as refused:
            return _error(400, str(refused))
        return JSONResponse({"jwt": grants.grant(realtime.key, topics, time.time())}, 201)

    async def sse(request: Request) -> Response:
        try:
            return _Stream(realtime, realtime.topics(request.query_params.get("token", "")))
        except NoGrant:
            return _error(401, _NO_GRANT, _ANYWHERE)

    async def connect(socket: WebSocket) -> None:
        await _connect(realtime, socket)

    return [
        Route("/v1/realtime/publish", publish, methods=["POST"], include_in_schema=False),
        Route("/v1/realtime/publish/tee", tee, methods=["POST"], include_in_schema=False),
        Route("/v1/realtime/token", token, methods=["POST"], include_in_schema=False),
        Route("/v1/realtime/sse", sse, include_in_schema=False),
        WebSocketRoute("/v1/realtime/connect", connect),
    ]


async def _publish(hub: Hub, request: Request) -> Response:
    try:
        topics = _topics(request)
        run_id = request.query_params.get("run_id")
        if request.headers.get("content-type", "").startswith("text/stream"):
            await _streamed(hub, topics, request, run_id)
        else:
            publishing.publish(hub, topics, await request.body(), run_id)
    except _Refused as refused:
        return _error(400, str(refused))
    except TooLarge:
        return _error(413, f"A message has at most {publishing.MOST_BYTES} bytes.")
    return JSONResponse({"ok": True})


async def _tee(hub: Hub, request: Request) -> Response:
    """What an app streams of a run: its channel is the run's id, and it names no topic."""
    try:
        topics = _checked([Topic(request.query_params.get("channel", ""), _STREAM)])
        await _streamed(hub, topics, request, request.query_params.get("run_id"))
    except _Refused as refused:
        return _error(400, str(refused))
    return JSONResponse({"ok": True})


async def _streamed(hub: Hub, topics: list[Topic], request: Request, run_id: str | None) -> None:
    """Publish a body while it comes; where it breaks off, its end is published all the same."""
    with suppress(ClientDisconnect):
        await publishing.stream(hub, topics, request.stream(), run_id)


async def _connect(realtime: Realtime, socket: WebSocket) -> None:
    """One who listens, until either side ends it."""
    try:
        topics = realtime.topics(socket.query_params.get("token", ""))
        async with realtime.listening(topics) as listener:
            await socket.accept()
            await _told(socket, listener)
    except NoGrant:
        await socket.close(_POLICY, _NO_GRANT)
    except Full:
        await socket.close(_LATER, "Too many listen already.")
    except TooSlow:
        await socket.close(_LATER, "Messages came faster than they were read.")


async def _told(socket: WebSocket, listener: Listener) -> None:
    """Send what is published until the other end goes.

    Raises:
        TooSlow: it does not read fast enough.
    """
    gone = asyncio.create_task(_until_gone(socket))
    telling = asyncio.create_task(_tell(socket, listener))
    try:
        await asyncio.wait({gone, telling}, return_when=asyncio.FIRST_COMPLETED)
        if telling.done() and not gone.done():
            telling.result()
    finally:
        gone.cancel()
        telling.cancel()
        await asyncio.gather(gone, telling, return_exceptions=True)


async def _tell(socket: WebSocket, listener: Listener) -> None:
    while True:
        await socket.send_text(await listener.next())


async def _until_gone(socket: WebSocket) -> None:
    """What listeners say means nothing here."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


class _Stream(StreamingResponse):
    """Server-sent events; pages of any origin may read them that have the token."""

    def __init__(self, realtime: Realtime, topics: frozenset[Topic]) -> None:
        super().__init__(
            _events(realtime, topics),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no", **_ANYWHERE},
        )


async def _events(realtime: Realtime, topics: frozenset[Topic]) -> AsyncIterator[str]:
    with suppress(Full, TooSlow):
        async with realtime.listening(topics) as listener:
            yield "retry: 2000\n\n"  # who reads it misses nothing from then on
            stopping = asyncio.create_task(realtime.stopping.wait())
            coming = asyncio.create_task(listener.next())
            try:
                while not stopping.done():
                    await asyncio.wait({stopping, coming}, timeout=_SILENCE, return_when=asyncio.FIRST_COMPLETED)
                    if not coming.done():
                        yield ":\n\n"
                        continue
                    yield f"data: {coming.result()}\n\n"
                    coming = asyncio.create_task(listener.next())
            finally:
                stopping.cancel()
                coming.cancel()


_NO_GRANT = "The token is not good, or not any more; get another one."
_ANYWHERE = {"access-control-allow-origin": "*"}


def _topics(request: Request) -> list[Topic]:
    channel = request.query_params.get("channel", "")
    names = request.query_params.getlist("topic")
    if not names:
        raise _Refused("Name the topic to publish to: ?channel=...&topic=...")
    return _checked([Topic(channel, name) for name in names])


def _wanted(body: bytes) -> list[Topic]:
    """The topics that a token is asked for.

    Raises:
        _Refused: they cannot be read.
    """
    try:
        said = orjson.loads(body)
        topics = [Topic(str(each["channel"]), str(each["name"])) for each in said]
    except (ValueError, TypeError, KeyError):
        raise _Refused("Send a list of topics: [{channel, name, kind}].") from None
    return _checked(topics)


def _checked(topics: list[Topic]) -> list[Topic]:
    for part in (part for topic in topics for part in topic):
        if not 0 < len(part) <= _LONGEST:
            raise _Refused(f"A channel and a topic are texts of 1 to {_LONGEST} characters.")
    if not 0 < len(topics) <= _MOST_TOPICS:
        raise _Refused(f"Name 1 to {_MOST_TOPICS} topics.")
    return topics


def _error(status: int, error: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": error, "status": status}, status, headers)
