"""Asks apps for their functions: `PUT` to their URLs (protocol sections 2.1 and 2.2).

An app answers by telling the service's API, or, asked to with a signature, in the answer itself.
"""

from __future__ import annotations

import socket
import time

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver, ResolveResult

from cdc.remote import signing
from cdc.remote.addresses import NotAllowed, Target
from cdc.remote.configs import Unusable
from cdc.remote.fields import Fields
from cdc.remote.registering import DEPLOY, Registering, stripped
from cdc.store import apps

MOST_BYTES = 8 * 1024 * 1024
_WITHIN = aiohttp.ClientTimeout(total=30, sock_connect=5)
_KIND = "x-inngest-sync-kind"
_IN_BAND = "in_band"
_LONGEST = 300


class Pinned(AbstractResolver):
    """Connects to the addresses that were checked, whatever the name is resolved to by now."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The checked addresses."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._target.addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Syncing:
    """Asks apps, one at a time for each URL."""

    def __init__(self, registering: Registering) -> None:
        self._registering = registering
        self._grounds = registering.grounds

    async def sync(self, id: int, url: str) -> str | None:
        """Have the app of a row tell of its functions; why it did not, for people, which is noted in its row, too."""
        try:
            await self._asked(id, url)
        except (NotAllowed, Unusable) as error:
            async with self._registering.to_state() as conn:
                await apps.fail(conn, id, str(error))
            return str(error)
        return None

    def became(self, id: int) -> int | None:
        """The row of the app that another row turned out to be."""
        return self._registering.became.pop(id, None)

    async def _asked(self, id: int, url: str) -> None:
        target = await self._grounds.target(url)
        body = orjson.dumps({"url": stripped(url)})
        try:
            answer = await self._put(target, id, body)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unusable(f"The app does not answer at {target.host}:{target.port}: {_reason(error)}.") from None
        if answer is not None:
            await self._registering.take(answer, deploy=str(id))
            return
        async with self._registering.to_state() as conn:
            row = await apps.tried(conn, id)
        if row is not None and not row.synced:
            raise Unusable(
                "The app answered, and told another server of its functions: its INNGEST_DEV (or, with keys, "
                "INNGEST_BASE_URL) must be this service's address, such as http://localhost:8288."
            )

    async def _put(self, target: Target, id: int, body: bytes) -> object:
        """What the app told in its answer; None: it told the API."""
        headers = {"content-type": "application/json", "user-agent": "cdc", "x-inngest-server-kind": self._grounds.kind}
        if self._grounds.keys:
            headers |= {_KIND: _IN_BAND, "x-inngest-signature": signing.sign(body, self._grounds.keys[0], time.time())}
        connector = aiohttp.TCPConnector(resolver=Pinned(target), use_dns_cache=False, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=_WITHIN) as session,
            session.put(
                _with(target.url, id), data=body, headers=headers, allow_redirects=False, max_line_size=65536
            ) as answer,
        ):
            content = await _read(answer)
            if answer.status != 200:
                raise Unusable(f"The app answered {answer.status}{_said(content)}")
            return _json(content) if answer.headers.get(_KIND) == _IN_BAND else None


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_any():
        content += chunk
        if len(content) > MOST_BYTES:
            raise Unusable(f"The app's answer has more than {MOST_BYTES} bytes.")
    return bytes(content)


def _with(url: str, id: int) -> str:
    """A URL that has the SDK give the row's id to the API."""
    return f"{url}{'&' if '?' in url else '?'}{DEPLOY}={id}"


def _json(content: bytes) -> object:
    try:
        return orjson.loads(content)
    except ValueError:
        raise Unusable("The app's answer is no JSON.") from None


def _said(content: bytes) -> str:
    """What the answer of an SDK says of why, or where it is none's, what to look at."""
    try:
        fields = Fields(orjson.loads(content))
        said = fields.text("message") or fields.text("error")
    except ValueError:
        return "; is its URL that of Inngest's handler, such as http://localhost:3000/api/inngest?"
    return f": {said[:_LONGEST]}" if said else "."


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not good"
    os_error = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(os_error, ConnectionRefusedError) or getattr(os_error, "errno", None) == 111:
        return "nobody listens there"
    return type(error).__name__
