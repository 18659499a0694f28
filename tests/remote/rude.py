"""An HTTP server on loopback that answers as it is told, down to the bytes; also with none, or half of them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SDK = "x-inngest-sdk: inngest-py:v0.5.18\r\nx-inngest-req-version: 2\r\n"


@dataclass
class Received:
    """One request. `connection` and `number` count from 0, the latter over the requests of one connection."""

    connection: int
    number: int
    target: str
    headers: dict[str, str]
    raw_headers: str
    body: bytes
    writer: asyncio.StreamWriter


Reply = Callable[[Received], Awaitable[bytes | None]]
"""The bytes to answer with; None closes the connection."""


@dataclass
class Server:
    """Where it listens, and what it got."""

    port: int
    received: list[Received] = field(default_factory=list)

    @property
    def connections(self) -> int:
        return len({each.connection for each in self.received})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def ok(body: bytes = b"1", status: str = "200 OK", headers: str = SDK) -> bytes:
    return f"HTTP/1.1 {status}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def serving(reply: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server that answers each request with what `reply` makes of it."""
    connections = 0
    open_: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connection, connections = connections, connections + 1
        open_.add(writer)
        number = 0
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                first, *lines = head.strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                got = Received(connection, number, first.split(" ")[1], headers, head, body, writer)
                server.received.append(got)
                number += 1
                answer = await reply(got)
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            open_.discard(writer)
            writer.close()

    # With a backlog for all: connections beyond it are tried again after one, three and seven seconds.
    listener = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls, backlog=1000)
    server = Server(listener.sockets[0].getsockname()[1])
    async with listener:
        yield server
        for writer in list(open_):
            writer.transport.abort()


def reset(received: Received) -> None:
    """End a connection with an RST."""
    connection = received.writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    received.writer.transport.abort()
