"""A process that sends events over HTTP as fast as they are taken, as Inngest's SDKs write them.

    python -m tests.benchmarks.sender <url> <name> <events in a request> <connections> <seconds>

It prints what came of it as JSON. It shares the cores with the service, so it does little itself: requests are made
from a template, and of an answer only the status and the length are read.
"""

from __future__ import annotations

import asyncio
import re
import resource
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson

_HEAD = re.compile(rb"HTTP/1\.1 (\d+).*?\r\ncontent-length: (\d+)\r\n.*?\r\n\r\n", re.DOTALL | re.IGNORECASE)
_TS = b"1000000000000"


@dataclass
class Sent:
    """What was answered: how often each status, and the seconds that each request took."""

    statuses: dict[str, int] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0


class _Line(asyncio.Protocol):
    """One connection: the next request goes out when the last one is answered."""

    def __init__(self, path: str, body: bytes, until: float, sent: Sent, number: int) -> None:
        self._head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n".encode()
        self._head += b"content-length: %d\r\nx-inngest-event-id-seed: " % len(body)
        self._body, self._until, self._sent = body, until, sent
        self._seed, self._count, self._answer, self._began = number << 32, 0, b"", 0.0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "TCP has no other"
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head = _HEAD.match(self._answer)
        if head is None or len(self._answer) < head.end() + int(head[2]):
            return
        self._answer = b""
        now = time.perf_counter()
        self._sent.took.append(now - self._began)
        status = head[1].decode()
        self._sent.statuses[status] = self._sent.statuses.get(status, 0) + 1
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.ended.set_result(error)

    def _ask(self) -> None:
        self._count += 1
        now = time.time_ns() // 1_000_000
        head = b"%s%d,%d\r\n\r\n" % (self._head, now, self._seed + self._count)
        self._began = time.perf_counter()
        self._transport.write(head + self._body.replace(_TS, str(now).encode()))


def body(name: str, size: int) -> bytes:
    """So many events of about 200 bytes each; a single one without an array around it."""
    events = [
        {
            "name": name,
            "data": {
                "order": number,
                "customer": f"customer-{number:05}",
                "note": "x" * 80,
                "amount": 19.95,
                "paid": True,
            },
            "ts": int(_TS),
        }
        for number in range(size)
    ]
    return orjson.dumps(events if size > 1 else events[0])


async def send(url: str, name: str, size: int, connections: int, seconds: float) -> Sent:
    """Send until so many seconds have gone by."""
    parts, sent, content = urlsplit(url), Sent(), body(name, size)
    host, port = parts.hostname, parts.port
    assert host, "a service tells where it is"
    assert port, "and at which port"
    began = time.perf_counter()
    lines = []
    for number in range(connections):

        def line(number: int = number) -> _Line:
            return _Line("/e/measured", content, began + seconds, sent, number)

        _, made = await asyncio.get_running_loop().create_connection(line, host, port)
        lines.append(made)
    await asyncio.gather(*(each.ended for each in lines))
    sent.seconds = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    sent.cpu = usage.ru_utime + usage.ru_stime
    return sent


if __name__ == "__main__":
    url, name, size, connections, seconds = sys.argv[1:]
    print(orjson.dumps(asyncio.run(send(url, name, int(size), int(connections), float(seconds)))).decode())
