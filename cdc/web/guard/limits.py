"""How much anybody may: attempts to log in, bytes of a body, depth of JSON."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_DEPTH = 64
"""Objects and lists within each other."""

_WINDOW = 60
MOST_ADDRESSES = 10_000
"""Whose attempts are counted; what comes from more is counted together only."""


@dataclass(slots=True)
class _Count:
    since: float
    wrong: int = 0


class Attempts:
    """Wrong attempts within a minute of the first: `each` of one address, `together` of all. Bounded and forgotten."""

    def __init__(self, *, each: int, together: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._each = each
        self._together = together
        self._clock = clock
        self._of: dict[str, _Count] = {}  # the oldest first
        self._all = _Count(clock())

    def wait(self, address: str) -> float:
        """Seconds until this address may try; 0: now."""
        now = self._turned()
        mine = self._of.get(address)
        ends = [mine.since + _WINDOW] if mine and mine.wrong >= self._each else []
        if self._together is not None and self._all.wrong >= self._together:
            ends.append(self._all.since + _WINDOW)
        return max(ends, default=now) - now

    def note(self, address: str) -> None:
        """One more that was wrong."""
        now = self._turned()
        self._all.wrong += 1
        if address in self._of or len(self._of) < MOST_ADDRESSES:
            self._of.setdefault(address, _Count(now)).wrong += 1

    def forget(self, address: str) -> None:
        """It was right after all."""
        if mine := self._of.pop(address, None):
            self._all.wrong = max(0, self._all.wrong - mine.wrong)

    def _turned(self) -> float:
        now = self._clock()
        while self._of and self._of[oldest := next(iter(self._of))].since <= now - _WINDOW:
            del self._of[oldest]
        if self._all.since <= now - _WINDOW:
            self._all = _Count(now)
        return now


def address_of(scope: Scope) -> str:
    """Who asks: an address, and of IPv6 the network, in which one machine may have any."""
    client = scope.get("client")
    try:
        address = ipaddress.ip_address(client[0] if client else "")
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address)


class Bounded:
    """Refuses bodies of more than `most` bytes, before they are read where their length is told, else while they are.

    Whoever reads the body meets an HTTPException, which is answered like any other. Events are counted by their route.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD") or scope["path"].startswith("/e/"):
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "0")
        read = 0

        async def counted() -> Message:
            nonlocal read
            if told.isdecimal() and int(told) > self._most:
                raise self._too_large()
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most:
                raise self._too_large()
            return message

        await self._app(scope, counted, send)

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"A request has at most {self._most} bytes.")


_SIGNS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_TEXT = re.compile(rb'"[^"]*"?')
_NO_SIGNS = bytes(each for each in range(256) if each not in b'[{]}"')


def too_deep(body: bytes | bytearray, most: int = MOST_DEPTH) -> bool:
    """Whether JSON has more than `most` lists and objects within each other. What is no JSON may be either.

    Without parsing it, and without a loop in Python; most bodies have so few brackets that nothing need be done.
    """
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    signs = _TEXT.sub(b"", body.translate(_SIGNS, _NO_SIGNS).replace(b'""', b""))
    return max(accumulate(memoryview(signs).cast("b")), default=0) > most  # each is 1 or -1
