"""Where workers connect: a WebSocket for each (protocol section 7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import WSMsgType, web

from cdc.remote.connect import handshake, messages, tokens
from cdc.remote.connect.connection import Connection
from cdc.remote.connect.connections import Connections
from cdc.remote.connect.handshake import FLUSH, PATH, PROTOCOL, NotLetIn, Worker
from cdc.remote.connect.messages import Garbled, Kind, frame, read
from cdc.remote.connect.times import Times

log = structlog.get_logger(__name__)

_LARGEST = 8 * 1024 * 1024
"""Bytes of one message of a worker; it is told to say more in a state of its own (`use_api`)."""

_MOST = 2000
"""Connections."""

_MOST_UNKNOWN = 32
"""Of them, those that have not said yet who they are."""

_POLICY, _GOING = 1008, 1001
"""Why a socket is closed (RFC 6455, section 7.4.1)."""

Register = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Takes in what a worker says of an app: the body of a sync, without a URL.

Raises:
    NotLetIn: it is not right; says what.
"""


class Gateway:
    """Listens for workers, and keeps their connections."""

    def __init__(
        self,
        connections: Connections,
        register: Register,
        *,
        host: str,
        port: int,
        key: bytes,
        times: Times | None = None,
    ) -> None:
        self._connections = connections
        self._register = register
        self._host = host
        self._wanted = port
        self._key = key
        self._times = times or Times()
        self._unknown = 0
        self._closing = False
        self._runner: web.AppRunner | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._runner is not None, "it was started"
        port: int = self._runner.addresses[0][1]
        return port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        app = web.Application(client_max_size=_LARGEST)
        app.add_routes([web.get(PATH, self._connect), web.post(f"{PATH}/flush", self._flush)])
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._wanted).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner, self._watch = runner, asyncio.create_task(self._watch_over())
        log.info("workers may connect", host=self._host, port=self.port)

    async def close(self) -> None:
        """Send the workers elsewhere. Calls in flight are to be waited for before: a worker that hears of the end
        answers over its next connection, where there is one.
        """
        self._closing = True
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.gather(*(self._send_away(each) for each in self._connections.open))
        if self._runner is not None:
            await self._runner.cleanup()

    async def _send_away(self, connection: Connection) -> None:
        await connection.send(Kind.GATEWAY_CLOSING)
        await connection.close(_GOING, "connect_gateway_closing")

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        """A connection, from its first byte to its last."""
        if self._closing or self._unknown >= _MOST_UNKNOWN or len(self._connections) >= _MOST:
            raise web.HTTPServiceUnavailable(text="No more connections are taken.", headers={"retry-after": "5"})
        socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=_LARGEST, compress=False, timeout=2.0)
        self._unknown += 1
        try:
            await socket.prepare(request)
            worker = await self._greet(socket)
        finally:
            self._unknown -= 1
        if worker is not None:
            await self._keep(socket, request.transport, worker)
        return socket

    async def _greet(self, socket: web.WebSocketResponse) -> Worker | None:
        """Who it is; None where it may not connect, and has been told why."""
        try:
            async with asyncio.timeout(self._times.handshake):
                await socket.send_bytes(frame(Kind.HELLO))
                said = await _introduction(socket)
            handshake.check(said, self._key, time.time())
            worker = handshake.worker(said)
            for app in worker.apps.values():
                await self._register(app)
        except NotLetIn as refused:
            reason = str(refused)
        except Garbled as error:
            reason = f"This is no worker: {error}."
        except (TimeoutError, ConnectionError, TypeError):  # aiohttp's word for a message that is not of bytes
            reason = "A worker says who it is, first of all, and at once."
        else:
            return worker
        log.warning("worker not let in", reason=reason)
        await _refuse(socket, reason)
        return None

    async def _keep(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, worker: Worker) -> None:
        """Hear a worker out."""
        connection = Connection(socket, transport, worker, patience=self._times.sending)
        times = messages.ConnectionReady(
            heartbeat_interval=f"{self._times.heartbeat}s", extend_lease_interval=f"{self._times.extend}s"
        )
        if not await connection.send(Kind.CONNECTION_READY, times):
            return
        log.info("worker connected", apps=sorted(worker.apps), sdk=worker.sdk, connection=worker.connection_id)
        self._connections.add(connection)
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    await self._hear(connection, message.data)
        except Garbled as error:
            await connection.close(_POLICY, f"This is no message: {error}.")
        finally:
            self._connections.remove(connection)
            log.info("worker disconnected", apps=sorted(worker.apps), connection=worker.connection_id)

    async def _hear(self, connection: Connection, data: bytes) -> None:
        """One message of a worker.

        Raises:
            Garbled: it is none.
        """
        connection.heard = asyncio.get_running_loop().time()
        said = read(messages.Frame, data)
        match said.kind:
            case Kind.WORKER_HEARTBEAT:
                await connection.send(Kind.GATEWAY_HEARTBEAT)
            case Kind.WORKER_READY | Kind.WORKER_PAUSE:
                connection.ready = said.kind == Kind.WORKER_READY
                self._connections.changed(connection)
            case Kind.REQUEST_ACK:
                if asked := self._connections.asked(read(messages.RequestAck, said.payload).request_id, connection):
                    asked.take()
            case Kind.EXTEND_LEASE:
                await self._extend(connection, read(messages.ExtendLease, said.payload).request_id)
            case Kind.REPLY:
                reply = read(messages.Reply, said.payload)
                if asked := self._connections.asked(reply.request_id, connection):
                    asked.answer(reply)
                await connection.send(Kind.REPLY_ACK, messages.ReplyAck(request_id=reply.request_id))

    async def _extend(self, connection: Connection, request_id: str) -> None:
        """Without a new lease, the worker knows that nobody waits for its answer any more."""
        asked = self._connections.asked(request_id, connection)
        lease = asked.extend() if asked else None
        await connection.send(
            Kind.EXTEND_LEASE_ACK, messages.ExtendLeaseAck(request_id=request_id, new_lease_id=lease or "")
        )

    async def _flush(self, request: web.Request) -> web.Response:
        """A reply that a worker could not be sure of, passed on by the service."""
        if not tokens.is_good(self._key, request.headers.get("authorization", ""), FLUSH, "", time.time()):
            raise web.HTTPUnauthorized
        try:
            reply = read(messages.Reply, await request.read())
        except Garbled:
            raise web.HTTPBadRequest from None
        if asked := self._connections.asked(reply.request_id):
            asked.answer(reply)
        return web.Response(status=204)

    def drop_silent(self) -> None:
        """End the connections of workers that gave no sign of life."""
        since = asyncio.get_running_loop().time() - self._times.silence
        for connection in self._connections.open:
            if connection.heard < since:
                log.warning("worker fell silent", apps=sorted(connection.worker.apps))
                connection.drop()

    async def _watch_over(self) -> None:
        while True:
            await asyncio.sleep(self._times.silence / 5)
            self.drop_silent()


async def _introduction(socket: web.WebSocketResponse) -> Any:
    """What a worker says of itself. One that lost its connection may first speak of calls that it still has; it says
    that again.

    Raises:
        Garbled: it says something else.
        TypeError: it hung up.
    """
    while (first := read(messages.Frame, await socket.receive_bytes())).kind != Kind.WORKER_CONNECT:
        pass
    return read(messages.WorkerConnect, first.payload)


async def _refuse(socket: web.WebSocketResponse, reason: str) -> None:
    """Say why not."""
    with suppress(ConnectionError):
        await socket.send_bytes(frame(Kind.SYNC_FAILED, messages.SyncFailed(code="refused", message=reason)))
    await socket.close(code=_POLICY, message=reason.encode()[:120])
