"""The event API of a cluster: many events in one request, and what its answer means for them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from cdc.store.forwards import Waiting

if TYPE_CHECKING:
    import aiohttp

MOST_EVENTS = 1000
MOST_BYTES = 512 * 1024
"""In one request. An event that is larger goes alone."""

_TIMEOUT = 30.0
"""Seconds for one request; less than the time for which nobody else sends."""

_WORTH_IT = 1024
"""Bytes from which on a body is compressed."""

_LEVEL = 1
_LONGEST_ERROR = 200
_LONGEST_PAUSE = 300.0
_LONGEST_ANSWER = 256 * 1024

_UNUSABLE = {400, 413, 422}
"""An answer that blames what was sent."""


class Unsent(Exception):
    """The cluster did not take a request now, for a reason that is not in its events. `after`: seconds it asks for."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Refused(Exception):
    """The cluster does not take at least one event of a request; it has taken the first `taken`."""

    def __init__(self, reason: str, taken: int = 0) -> None:
        super().__init__(reason)
        self.taken = taken


@dataclass(frozen=True, slots=True)
class Target:
    """Where events go: the origin of an event API, and its key."""

    origin: str
    key: str = field(repr=False)

    @property
    def url(self) -> str:
        """With the key in it: for nobody's eyes."""
        return f"{self.origin.rstrip('/')}/e/{self.key}"


class EventApi:
    """Sends over kept connections. Bodies are compressed until the cluster has shown that it cannot read them."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._session: aiohttp.ClientSession | None = None
        self._compresses: bool | None = None

    async def send(self, events: Sequence[Waiting]) -> None:
        """Have the cluster accept these events.

        Raises:
            Unsent: not now.
            Refused: there is one that it never takes.
        """
        body = encoded(events)
        if self._compresses is False or len(body) < _WORTH_IT:
            await self._post(body, len(events))
            return
        packed = await asyncio.to_thread(gzip.compress, body, _LEVEL)
        try:
            await self._post(packed, len(events), {"content-encoding": "gzip"})
        except _Unread:
            pass
        except Refused as refused:
            if self._compresses or refused.taken:
                raise
        else:
            self._compresses = True
            return
        await self._post(body, len(events))
        self._compresses = False

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, body: bytes, count: int, headers: dict[str, str] | None = None) -> None:
        import aiohttp  # only here: 9 MB that a service which sends nothing on does without

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT))
        given = {"content-type": "application/json", **(headers or {})}
        try:
            async with self._session.post(self.target.url, data=body, headers=given, allow_redirects=False) as answer:
                _judge(answer, await answer.content.read(_LONGEST_ANSWER), count)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unsent(f"{type(error).__name__}: it cannot be reached") from None


class _Unread(Unsent):
    """The cluster does not read a body of this kind."""


def encoded(events: Sequence[Waiting]) -> bytes:
    """A request's body. The data is as it was stored: it is not read for this."""
    return b"[" + b",".join(map(_event, events)) + b"]"


def size(event: Waiting) -> int:
    """Bytes that an event has in a request, or a few more."""
    return len(event.data) * (1 if event.data.isascii() else 4) + len(event.name) + 100


def _event(event: Waiting) -> bytes:
    named = orjson.dumps({"id": str(event.id), "name": event.name, "ts": event.ts})[:-1]
    return b'%b,"data":%b}' % (named, event.data.strip().encode(errors="surrogatepass"))


def _judge(answer: aiohttp.ClientResponse, body: bytes, count: int) -> None:
    status = answer.status
    said = _said(body)
    if 200 <= status < 300:
        return
    reason = f"HTTP {status}: {said.get('error') or answer.reason or ''}"[:_LONGEST_ERROR].strip()
    if status == 415:
        raise _Unread(reason)
    if status in _UNUSABLE:
        ids = said.get("ids")
        # What it says of an event may quote it, which is not for logs.
        raise Refused(f"HTTP {status}", len(ids) if isinstance(ids, list) and len(ids) < count else 0)
    raise Unsent(reason, _pause(answer.headers.get("retry-after")))


def _said(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _pause(text: str | None) -> float | None:
    try:
        return None if text is None else min(max(float(text), 0.0), _LONGEST_PAUSE)
    except ValueError:
        return None
