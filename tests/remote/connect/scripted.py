"""A worker that does what a test tells it, message by message."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from cdc.remote.connect import messages
from cdc.remote.connect.handshake import PROTOCOL
from cdc.remote.connect.messages import Kind, frame, read
from tests.remote.connect.conftest import Reach

_ANSWERS = {
    Kind.CONNECTION_READY: messages.ConnectionReady,
    Kind.EXECUTOR_REQUEST: messages.ExecutorRequest,
    Kind.EXTEND_LEASE_ACK: messages.ExtendLeaseAck,
    Kind.REPLY_ACK: messages.ReplyAck,
    Kind.SYNC_FAILED: messages.SyncFailed,
}


class Scripted:
    """One connection. `async with` it is connected, and ready unless `waits`."""

    def __init__(self, reach: Reach, *apps: str, most: int = 0, waits: bool = False) -> None:
        self._reach = reach
        self._apps = apps or ("shop",)
        self._most = most
        self._waits = waits
        self._client = aiohttp.ClientSession()
        self.socket: aiohttp.ClientWebSocketResponse

    async def __aenter__(self) -> Self:
        started = await self.start()
        await self.open(started.gateway_endpoint)
        await self.introduce(started)
        await self.hear(Kind.CONNECTION_READY)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def start(self) -> Any:
        """Ask the service where to connect."""
        async with self._client.post(f"{self._reach.url}/v0/connect/start") as answer:
            assert answer.status == 200
            return read(messages.StartResponse, await answer.read())

    async def flush(self, reply: Any) -> int:
        """Give the service a reply; the status of its answer."""
        async with self._client.post(f"{self._reach.url}/v0/connect/flush", data=reply.SerializeToString()) as answer:
            return answer.status

    async def open(self, endpoint: str) -> None:
        """Connect, and be greeted."""
        self.socket = await self._client.ws_connect(endpoint, protocols=[PROTOCOL])
        await self.hear(Kind.HELLO)

    async def introduce(self, started: Any, functions: bytes = b"[]") -> None:
        """Say who this is."""
        apps = [messages.App(app_name=app, functions=functions) for app in self._apps]
        said = messages.WorkerConnect(
            connection_id=started.connection_id,
            auth_data=messages.Auth(session_token=started.session_token, sync_token=started.sync_token),
            apps=apps,
            sdk_language="go",
            sdk_version="v0.1",
            max_worker_concurrency=self._most,
            worker_manual_readiness_ack=self._waits,
        )
        await self.say(Kind.WORKER_CONNECT, said)

    async def say(self, kind: Kind, message: Any = None) -> None:
        """Send a message."""
        await self.socket.send_bytes(frame(kind, message))

    async def hear(self, kind: Kind) -> Any:
        """The next message, which is of this kind."""
        async with asyncio.timeout(30):
            said = read(messages.Frame, await self.socket.receive_bytes())
        assert said.kind == kind
        return read(_ANSWERS[kind], said.payload) if kind in _ANSWERS else None

    async def take(self) -> Any:
        """Take the next call."""
        asked = await self.hear(Kind.EXECUTOR_REQUEST)
        await self.say(Kind.REQUEST_ACK, messages.RequestAck(request_id=asked.request_id))
        return asked

    async def answer(self, asked: Any, output: object = "done") -> None:
        """Answer it, and hear that the answer came."""
        await self.say(Kind.REPLY, reply(asked, output))
        assert (await self.hear(Kind.REPLY_ACK)).request_id == asked.request_id


def reply(asked: Any, output: object = "done") -> Any:
    """The message that a function returned."""
    return messages.Reply(
        request_id=asked.request_id, status=messages.Status.DONE, body=orjson.dumps(output), sdk_version="go:v0.1"
    )
