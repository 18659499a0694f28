"""How much of what was sent may be in memory: bodies that are being read, and events until they are stored."""

from __future__ import annotations

from types import TracebackType
from typing import Self

MOST_REQUESTS = 256
MOST_EVENTS = 50_000
MOST_BYTES = 64 * 1024 * 1024

_OVERHEAD = 512
"""Bytes that an event takes besides its data."""


class Full(Exception):
    """There is no room now; there will be, once something is stored."""


class Room:
    """Counts what is in memory. Who does not fit in is told at once, not kept waiting: that would take room, too."""

    def __init__(self, *, requests: int = MOST_REQUESTS, events: int = MOST_EVENTS, size: int = MOST_BYTES) -> None:
        self._most = requests, events, size
        self.requests = self.events = self.size = 0

    def place(self, size: int) -> Place:
        """A place for a request of so many bytes; leave it by the end of the block.

        Raises:
            Full: there is none.
        """
        self.expect()
        self.add(1, 0, size)
        return Place(self, size)

    def expect(self) -> None:
        """Before anything is done with a request: how many events it has is known when that is done.

        Raises:
            Full: there may be no room for them.
        """
        if self.events >= self._most[1] * 9 // 10:
            raise Full

    def add(self, requests: int, events: int, size: int) -> None:
        """Count these in, or out.

        Raises:
            Full: there would be more than there may be, and more than there is.
        """
        now = self.requests + requests, self.events + events, self.size + size
        for added, after, most in zip((requests, events, size), now, self._most, strict=True):
            if added > 0 and after > most:
                raise Full
        self.requests, self.events, self.size = now


class Place:
    """What one request takes. Several may hold it; it is free when the last has left."""

    def __init__(self, room: Room, size: int) -> None:
        self._room = room
        self._size = size
        self._events = 0
        self._holders = 1

    def fits(self, size: int) -> None:
        """Take this many bytes, unless it has as many.

        Raises:
            Full: they do not fit in.
        """
        if size > self._size:
            self._change(self._events, size)

    def hold(self, events: int, size: int) -> None:
        """Hold so many events with so many bytes of data in place of the body that they were in.

        Raises:
            Full: they do not fit in.
        """
        self._change(events, size + events * _OVERHEAD)

    def share(self) -> None:
        """One more holds it."""
        self._holders += 1

    def leave(self) -> None:
        """One less."""
        self._holders -= 1
        if not self._holders:
            self._room.add(-1, -self._events, -self._size)

    def _change(self, events: int, size: int) -> None:
        self._room.add(0, events - self._events, size - self._size)
        self._events, self._size = events, size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()
