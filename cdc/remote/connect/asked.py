"""A call that was sent to a worker: whether it took it, for how long it holds it, what it answered."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any


class LeaseRanOut(Exception):
    """A worker took a call and was not heard of again."""


class Asked:
    """One call. Its answer may come over another connection than it went: workers reconnect, and go on."""

    def __init__(self, request_id: str, app: str, lease: float) -> None:
        loop = asyncio.get_running_loop()
        self.request_id = request_id
        self.app = app
        self._lease = lease
        self._holding: asyncio.Timeout | None = None
        self._taken: asyncio.Future[bool] = loop.create_future()
        self._reply: asyncio.Future[Any] = loop.create_future()

    @property
    def is_answered(self) -> bool:
        """Whether there is a reply."""
        return self._reply.done()

    def offer(self) -> None:
        """It is sent to a worker, perhaps once more."""
        if self._taken.done():
            self._taken = asyncio.get_running_loop().create_future()

    async def is_taken(self, within: float) -> bool:
        """Whether the worker says, within so many seconds, that it has it."""
        try:
            async with asyncio.timeout(within):
                return await self._taken
        except TimeoutError:
            return False

    def take(self) -> None:
        """A worker says that it has it."""
        if not self._taken.done():
            self._taken.set_result(True)

    def lose(self) -> None:
        """The connection over which it was sent is gone; what has been taken may still be answered."""
        if not self._taken.done():
            self._taken.set_result(False)

    def extend(self) -> str | None:
        """The worker still has it; returns the name of its new lease, None where it is too late."""
        if self._reply.done():
            return None
        self.take()
        if self._holding is not None:
            self._holding.reschedule(asyncio.get_running_loop().time() + self._lease)
        return secrets.token_hex(13)

    def answer(self, reply: Any) -> None:
        """The reply; the first one counts."""
        if not self._reply.done():
            self._reply.set_result(reply)
        self.take()

    async def reply(self) -> Any:
        """The reply, while the worker holds the call.

        Raises:
            LeaseRanOut: it does not any more.
        """
        try:
            async with asyncio.timeout(self._lease) as self._holding:
                return await self._reply
        except TimeoutError:
            raise LeaseRanOut from None
