"""HTTP with servers that others have named: over connections that are kept for a moment, to checked addresses only.

A server that closes connections that are idle (uvicorn after 5 s) may do so while a request is on its way: one that
was sent over a kept connection, and lost it at once without a byte of an answer, is sent once more over a new one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from cdc.remote.addresses import NotAllowed, Target

Check = Callable[[str], Awaitable[Target]]
"""Where a URL may be connected to.

Raises:
    NotAllowed: nowhere.
"""

KEPT = 2.0
"""Seconds for which an idle connection is kept."""

CONNECTED = 10.0
"""Seconds within which a server must take a connection."""

_AT_ONCE = 1.0
"""Seconds from a request to the loss of its connection, within which the server cannot have known of it."""

_LONGEST_LINE = 64 * 1024
_ALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class Unsent(Exception):
    """The server did not get the request. The words complete a sentence that begins with it, and hold no secret."""


class Lost(Exception):
    """The server may have got the request; there is no answer, or half of one. Words as above."""


class TooLarge(Exception):
    """The answer is larger than the limit."""


class Exchanged(NamedTuple):
    """An answer. The names of `headers` are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Stale(Exception):
    """A kept connection was closed when the request came."""


class Pool:
    """Connections to any number of servers. `check` is asked before each new one."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._literals: set[str] = set()
        self._kept: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        for session in (self._kept, self._fresh):
            if session is not None:
                await session.close()
        self._kept = self._fresh = None

    async def exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, *, timeout: float, limit: int
    ) -> Exchanged:
        """One request and its answer; redirects are answers. `timeout` is in seconds, `limit` in bytes of the answer.

        Raises:
            Unsent: the server cannot be reached, or must not be.
            Lost: there is no answer.
            TooLarge: there is too much of it.
        """
        try:
            target = URL(url, encoded=True)
            if target.scheme not in ("http", "https") or target.user is not None or target.password is not None:
                raise NotAllowed("Its URL is not http:// or https:// with a host, and without user and password.")
            await self._check_literal(target)
        except (ValueError, NotAllowed) as error:
            raise Unsent(f"cannot be called: {error}") from None
        if self._kept is None:
            self._kept, self._fresh = self._session(keeps=True), self._session(keeps=False)
        asked = _Asked(method, target, headers, body, aiohttp.ClientTimeout(timeout, CONNECTED), limit)
        try:
            return await _exchange(self._kept, asked)
        except _Stale:
            assert self._fresh is not None
            return await _exchange(self._fresh, asked)

    def _session(self, *, keeps: bool) -> aiohttp.ClientSession:
        kept: dict[str, Any] = {"keepalive_timeout": KEPT} if keeps else {"force_close": True}
        connector = aiohttp.TCPConnector(
            limit=0, resolver=_Resolver(self._check), socket_factory=_socket, happy_eyeballs_delay=0.1, **kept
        )
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_reused)
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "gzip"},
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
            trace_configs=[tracing] if keeps else None,
        )

    async def _check_literal(self, url: URL) -> None:
        """Addresses are not resolved, so nobody else asks about them."""
        origin = f"{url.scheme}://{url.raw_authority}"
        if origin in self._literals:
            return
        try:
            ipaddress.ip_address(url.host or "")
        except ValueError:
            return
        await self._check(origin)
        self._literals.add(origin)


class _Asked(NamedTuple):
    method: str
    url: URL
    headers: Mapping[str, str]
    body: bytes | None
    timeout: aiohttp.ClientTimeout
    limit: int


class _Resolver(AbstractResolver):
    """The addresses of names, each checked."""

    def __init__(self, check: Check) -> None:
        self._check = check

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        target = await self._check(f"http://{host}:{port}/")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in target.addresses
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def _socket(address: Any) -> socket.socket:
    """One that learns that the other end is gone, while a call takes hours."""
    family, kind, proto, *_ = address
    made = socket.socket(family, kind, proto)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _ALIVE:
        if (option := getattr(socket, name, None)) is not None:  # not every system has them all
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


async def _reused(session: Any, context: SimpleNamespace, params: Any) -> None:
    context.trace_request_ctx.reused = True


async def _exchange(session: aiohttp.ClientSession, asked: _Asked) -> Exchanged:
    way = SimpleNamespace(reused=False, heard=False)
    began = asyncio.get_running_loop().time()
    try:
        async with session.request(
            asked.method,
            asked.url,
            headers=asked.headers,
            data=asked.body,
            timeout=asked.timeout,
            allow_redirects=False,
            trace_request_ctx=way,
        ) as response:
            way.heard = True
            return Exchanged(response.status, response.headers, await _read(response, asked.limit))
    except NotAllowed as error:
        raise Unsent(f"cannot be called: {error}") from None
    except aiohttp.ConnectionTimeoutError:
        raise Unsent(f"took no connection within {CONNECTED:g} seconds") from None
    except aiohttp.ClientConnectorError as error:
        raise Unsent(_why(error)) from None
    except (ValueError, aiohttp.NonHttpUrlClientError):
        raise Unsent("cannot be called: its URL is none, or a header") from None
    except TimeoutError:
        raise Lost(f"did not answer within {asked.timeout.total:g} seconds") from None
    except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
        if way.heard:
            raise Lost("broke off in the middle of its answer") from None
        if way.reused and asyncio.get_running_loop().time() - began < _AT_ONCE:
            raise _Stale from None
        raise Lost("closed the connection before it answered") from None
    except aiohttp.ClientError:
        raise Lost("answered with something that is no HTTP") from None


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = response.content_length or 0
    if size > limit:
        raise TooLarge
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise TooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def _why(error: aiohttp.ClientConnectorError) -> str:
    cause = error.os_error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "has a certificate that is not valid for it"
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return "does not speak TLS as we do"
    if isinstance(cause, ConnectionRefusedError):
        return f"refuses connections at {error.host}:{error.port}"
    return f"cannot be reached at {error.host}:{error.port} ({cause.strerror or type(cause).__name__})"
