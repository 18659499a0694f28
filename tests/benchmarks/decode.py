"""From frames in memory to rows for COPY: what our own code costs without any server.

10,000 rows, as many as are accepted at once, in a process set up as the service's are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from cdc.listener.translate import Translator
from cdc.lsn import Position
from cdc.service.process import prepare
from cdc.store import rows
from cdc.store.events import Incoming
from cdc.wal import frames
from cdc.wal.transactions import Change, Transactions
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Ground
from tests.unit.wal import wire

_ROWS = 10_000
_TRANSACTION = 100

_TABLE = wire.table("rows", id=20, amount=23, body=25, meta=3802, created_at=1184)

T = TypeVar("T")


async def measure(ground: Ground) -> list[Figure]:
    """CPU time of each stage, the best of many: whatever disturbs only adds to it."""
    prepare()
    repeats = ground.size(30, 5)
    payloads = _payloads()
    framed = [b"w" + bytes(24) + payload for payload in payloads]

    parsing, _ = _best(repeats, lambda: [frames.parse(frame) for frame in framed])
    decoding, items = _best(repeats, lambda: Transactions(Position(0, -1)).feed(payloads))
    changes = [item for item in items if isinstance(item, Change)]
    translating, events = _best(repeats, lambda: _translated(changes))
    copying, _ = _best(repeats, lambda: _copied(events))
    return [
        _each("decode: message to change", decoding),
        Figure("decode: message to change", sum(map(len, payloads)) / decoding / 1e6, "MB/s"),
        _each("frame to message", parsing),
        _each("change to event", translating),
        _each("event to row of COPY", copying),
        _each("all four", parsing + decoding + translating + copying),
    ]


def _each(name: str, seconds: float) -> Figure:
    return Figure(name, seconds * 1e6 / _ROWS, "us/row")


def _payloads() -> list[bytes]:
    """Inserts of rows like those of `rows.load`, in transactions of 100."""
    payloads = [wire.relation(_TABLE)]
    for first in range(0, _ROWS, _TRANSACTION):
        payloads.append(wire.begin(1000 + first))
        payloads += [_insert(n) for n in range(first, first + _TRANSACTION)]
        payloads.append(wire.commit(1000 + first))
    return payloads


def _insert(n: int) -> bytes:
    body = f"{n:032x}" * 3
    meta = f'{{"n": {n % 100}, "kind": "measured"}}'
    return wire.insert(_TABLE.oid, [str(n), str(n % 1000), body, meta, "2026-01-02 03:04:05.678901+00"])


def _translated(changes: list[Change]) -> list[Incoming]:
    translate = Translator(1, "default").event
    return [translate(change) for change in changes]


def _copied(events: list[Incoming]) -> bytes:
    return rows.events(1, [event[:4] for event in events])


def _best(repeats: int, call: Callable[[], T]) -> tuple[float, T]:
    best = float("inf")
    for _ in range(repeats):
        began = time.process_time()
        result = call()
        best = min(best, time.process_time() - began)
    return best, result
