"""One connection of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from cdc.remote.connect.asked import Asked
from cdc.remote.connect.handshake import Worker
from cdc.remote.connect.messages import Kind, frame


class Connection:
    """What is said to a worker, and the calls it has over this connection. `heard`: when it last said something."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, worker: Worker, *, patience: float
    ) -> None:
        self.worker = worker
        self.ready = not worker.says_ready
        self.heard = asyncio.get_running_loop().time()
        self._socket = socket
        self._transport = transport
        self._patience = patience
        self._sending = asyncio.Lock()
        self._carried: set[Asked] = set()

    @property
    def load(self) -> int:
        """Calls in flight."""
        return len(self._carried)

    @property
    def has_place(self) -> bool:
        """Whether it takes another call."""
        return self.worker.most is None or self.load < self.worker.most

    @contextmanager
    def carrying(self, asked: Asked) -> Iterator[None]:
        """While a call goes over it."""
        self._carried.add(asked)
        try:
            yield
        finally:
            self._carried.discard(asked)

    async def send(self, kind: Kind, message: Any = None) -> bool:
        """Say something; returns whether it went out. Who does not read is hung up on."""
        try:
            async with asyncio.timeout(self._patience), self._sending:
                await self._socket.send_bytes(frame(kind, message))
        except TimeoutError:
            self.drop()
        except ConnectionError:
            return False
        else:
            return True
        return False

    async def close(self, code: int, reason: str) -> None:
        """End it politely."""
        await self._socket.close(code=code, message=reason.encode()[:120])

    def drop(self) -> None:
        """End it at once: nobody listens."""
        if self._transport is not None:
            self._transport.abort()

    def lost(self) -> None:
        """It has ended: what it was asked and did not take may go elsewhere."""
        self.ready = False
        for asked in self._carried:
            asked.lose()
