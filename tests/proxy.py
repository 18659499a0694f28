"""A network that can fail: a TCP proxy on loopback between a service and its database.

cut       connections are reset, new ones refused
reset     connections are reset, new ones as soon as they are accepted
stall     a black hole: connections stay open, new ones are accepted, and nothing passes
restore   what was stalled passes, as when lost packets are sent once more; new connections are accepted
forget    new connections are accepted, those of before stay black holes, as when a firewall has forgotten them

`reset` and `stall` may be for some clients only: `whose` is asked with the port of each client's end, see `ports_of`.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

_CHUNK = 1 << 16

Whose = Callable[[int], bool]


def _nobody(port: int) -> bool:
    return False


class Proxy:
    """Stands in for the server of `url` at an address of its own."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._reserved = _bound(0)
        self._port: int = self._reserved.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._stalls: Whose = _nobody
        self._resets: Whose = _nobody

    async def __aenter__(self) -> Self:
        await self.restore()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()
        self._reserved.close()

    @property
    def url(self) -> str:
        """Of the same database, by way of here."""
        credentials = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{credentials}@127.0.0.1:{self._port}"))

    @property
    def port(self) -> int:
        return self._port

    def lead_to(self, url: str) -> None:
        """New connections lead to another server."""
        self._parts = urlsplit(url)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.reset()

    def reset(self, whose: Whose) -> None:
        self._resets = whose
        for connection in list(self._connections):
            if whose(connection.port):
                connection.reset()

    def stall(self, whose: Whose = lambda port: True) -> None:
        self._stalls = whose
        for connection in self._connections:
            if whose(connection.port):
                connection.stall()

    async def forget(self) -> None:
        self._stalls = self._resets = _nobody

    async def restore(self) -> None:
        await self.forget()
        for connection in self._connections:
            connection.release()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=_bound(self._port))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer)
        if self._server is None or self._resets(connection.port):  # cut before it came here
            connection.reset()
            return
        if self._stalls(connection.port):
            connection.stall()
        self._connections.add(connection)
        try:
            await connection.pass_on(self._parts.hostname or "127.0.0.1", self._parts.port or 5432)
        finally:
            self._connections.discard(connection)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._client = reader, writer
        self._writers = [writer]
        self._open = asyncio.Event()
        self._open.set()
        self.port: int = writer.get_extra_info("peername")[1]

    def stall(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def reset(self) -> None:
        self.release()
        for writer in self._writers:
            writer.transport.abort()

    async def pass_on(self, host: str, port: int) -> None:
        with suppress(OSError):
            server = await asyncio.open_connection(host, port)
            self._writers.append(server[1])
            await asyncio.gather(self._pump(self._client[0], server[1]), self._pump(server[0], self._client[1]))
        self.reset()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, to its end; the other may go on, unless an end was reset."""
        try:
            while True:
                data = await reader.read(_CHUNK)
                await self._open.wait()
                if not data:
                    break
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            await self._open.wait()
            self.reset()


def _bound(port: int) -> socket.socket:
    """A socket that holds the port; until somebody listens on one, connections are refused."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def ports_of(pid: int) -> set[int]:
    """The local ports of a process's TCP connections."""
    sockets: set[str] = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            sockets.update(re.findall(r"^socket:\[(\d+)\]$", os.readlink(descriptor)))
    lines = (line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:])
    return {int(line[1].rpartition(":")[2], 16) for line in lines if line[9] in sockets}
