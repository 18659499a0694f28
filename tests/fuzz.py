"""Throws mutated frames of real streams at the decoder: each is read, or a ProtocolError.

    python -m tests.fuzz [frames [seed]]      1,000,000 frames by default; prints what came of them

`make test` throws some; FUZZ_FRAMES says how many.
"""

from __future__ import annotations

import faulthandler
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cdc.errors import ProtocolError
from cdc.listener.translate import Translator
from cdc.lsn import Position
from cdc.wal import frames
from cdc.wal.transactions import Change, Item, Message, Transactions
from cdc.wal.types import FIRST_OID, NO_TYPES, Array, Composite, Domain, Scalar, Shape, Types
from tests.servers import EVERY_VERSION
from tests.unit.wal.wire import recorded

HEAD = b"w" + bytes(24)
KEEPALIVE = b"k" + bytes(17)
_LONGEST = 4000
_HANGS_AFTER = 60
"""Seconds for a thousand frames, after which the process ends and says where it was."""

_NOISE = (
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    bytes(4),
    b"\xff" * 8,
    b"\0",
    b"NULL",
    b'"',
    b"\\",
    b"{",
    b"}",
    b",",
    b"(",
    b")",
)
_OIDS = (16, 17, 20, 21, 23, 25, 114, 700, 1007, 1009, 1020, 1114, 1184, 1231, 3802, 3807)


class Outcome(NamedTuple):
    """How many frames were read and refused, what was read of them, and the CPU seconds of the slowest frame."""

    read: int
    refused: int
    items: Counter[str]
    slowest: float


class Fuzz:
    """One long stream of mutated frames, made anew after each ProtocolError."""

    def __init__(self, seed: int) -> None:
        self._noise = random.Random(seed)
        self._streams = [[payload[:_LONGEST] for payload in recorded(version)] for version in EVERY_VERSION]
        self._all = [payload for stream in self._streams for payload in stream]
        self._begin_anew(0)

    def throw(self, count: int) -> Outcome:
        """Throw so many frames.

        Raises:
            Exception: whatever is not a ProtocolError, which there must never be.
        """
        refused, items, slowest = 0, Counter[str](), 0.0
        for number in range(count):
            if number % 1000 == 0:
                faulthandler.dump_traceback_later(_HANGS_AFTER, exit=True)
            frame = self._next()
            began = time.process_time()
            try:
                items.update(type(item).__name__ for item in self._read(frame))
            except ProtocolError:
                refused += 1
                self._begin_anew(self._noise.randrange(len(self._streams)))
            slowest = max(slowest, time.process_time() - began)
        faulthandler.cancel_dump_traceback_later()
        return Outcome(count - refused, refused, items, slowest)

    def _begin_anew(self, version: int) -> None:
        """At a transaction of a stream, its tables known."""
        stream = self._streams[version]
        begins = [at for at, payload in enumerate(stream) if payload[:1] == b"B"]
        self._stream, self._at = stream, self._noise.choice(begins)
        types = Types(open=True) if self._noise.random() < 0.1 else NO_TYPES
        self._transactions = Transactions(Position(self._noise.choice((0, 1 << 20)), -1), types)
        self._translator = Translator(1, "default")
        self._feed([payload for payload in stream[: self._at] if payload[:1] == b"R"])

    def _next(self) -> bytes:
        """Mostly what comes next in the stream, mostly mutated."""
        noise = self._noise
        if noise.random() < 0.02:
            return self._mutated(KEEPALIVE, 1)
        if noise.random() < 0.1:
            payload = noise.choice(self._all)
        else:
            payload, self._at = self._stream[self._at], (self._at + 1) % len(self._stream)
        frame = self._mutated(payload, noise.choice((0, 0, 0, 1, 1, 2)))
        return self._mutated(HEAD + frame, 1) if noise.random() < 0.05 else HEAD + frame

    def _read(self, frame: bytes) -> list[Item]:
        _, payload, _ = frames.parse(frame)
        items = [] if payload is None else self._feed([payload])
        for item in items:
            match item:
                case Change():
                    self._translator.event(item)
                case Message():
                    self._translator.message(item)
        return items

    def _feed(self, payloads: Sequence[bytes]) -> list[Item]:
        transactions = self._transactions
        items = transactions.feed(payloads)
        asked = 0
        while transactions.wanted:
            asked += 1
            assert asked < 100, "it asks for types for ever"
            # Another shape the first times, as if somebody altered the types all the while.
            known = asked > 3
            found = {oid: transactions.types.shape(oid) if known else self._shape() for oid in transactions.wanted}
            transactions.learn(transactions.types.learned(found))
            items += transactions.feed(())
        return items

    def _shape(self) -> Shape:
        noise = self._noise
        of = noise.choice((*_OIDS, FIRST_OID + noise.randrange(10_000)))
        match noise.randrange(5):
            case 0:
                return Domain(of)
            case 1:
                return Array(of, noise.choice(",;"))
            case 2:
                return Composite(tuple((f"a{number}", noise.choice(_OIDS)) for number in range(noise.randrange(4))))
            case 3:
                return Scalar(*noise.choice((("hstore", "hstore"), ("vector", "vector"))))
            case _:
                return Scalar()

    def _mutated(self, payload: bytes, times: int) -> bytes:
        data, noise = bytearray(payload), self._noise
        for _ in range(times):
            at = noise.randrange(len(data) + 1)
            match noise.randrange(8):
                case 0:
                    del data[at:]
                case 1:
                    data[at : at + 1] = noise.randbytes(1)
                case 2:
                    data[at:at] = noise.randbytes(noise.randint(1, 4))
                case 3 | 4:
                    some = noise.choice(_NOISE)
                    data[at : at + len(some)] = some
                case 5:
                    data[at : at + noise.randint(1, 8)] = b""
                case 6:
                    other = noise.choice(self._all)
                    data[at:] = other[noise.randrange(len(other)) :]
                case _:
                    if at < len(data):
                        data[at] ^= 1 << noise.randrange(8)
        return bytes(data)


def main() -> None:
    """Throw frames and say what came of it."""
    count, seed = (*map(int, sys.argv[1:]), 1_000_000, 0)[:2] if len(sys.argv) < 3 else map(int, sys.argv[1:3])
    fuzz, began = Fuzz(seed), time.perf_counter()
    outcome = fuzz.throw(count)
    seconds = time.perf_counter() - began
    print(f"{count:,} frames in {seconds:.0f} s: {outcome.read:,} read, {outcome.refused:,} refused as malformed")
    print(f"slowest frame {outcome.slowest * 1000:.1f} ms; read: {dict(outcome.items)}")


if __name__ == "__main__":
    main()
