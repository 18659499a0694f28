"""Who listens to which topics in this process, and what waits for each of them. In memory, and bounded."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

MOST = 500
"""Listeners: each is an open connection."""

_MOST_WAITING = 1000
_MOST_BYTES = 2 * 1024 * 1024
_MOST_BYTES_OF_ALL = 64 * 1024 * 1024

_PATIENCE = 5.0
"""Seconds that a stream waits for one who does not read."""

_AGAIN = 0.005


class Topic(NamedTuple):
    """Where messages are published."""

    channel: str
    name: str


class Published(NamedTuple):
    """A message, as JSON that listeners are sent as it stands."""

    topic: Topic
    text: str


class TooSlow(Exception):
    """A listener did not read what was published as fast as that came."""


class Full(Exception):
    """There are as many listeners as may be."""


class Listener:
    """What waits for one who listens."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._more = asyncio.Event()
        self._lost = False
        self.size = 0

    def offer(self, text: str, room: int) -> int:
        """One message more, if there is `room` for it; returns by how much more waits."""
        before = self.size
        if len(text) > min(room, _MOST_BYTES - self.size) or len(self._waiting) == _MOST_WAITING:
            self.let_go()
        elif not self._lost:
            self._waiting.append(text)
            self.size += len(text)
            self._more.set()
        return self.size - before

    @property
    def is_behind(self) -> bool:
        """Whether it has half of what may wait for it."""
        return 2 * self.size > _MOST_BYTES or 2 * len(self._waiting) > _MOST_WAITING

    def let_go(self) -> None:
        """It does not read: nothing waits for it any more."""
        self._waiting.clear()
        self._lost, self.size = True, 0
        self._more.set()

    async def next(self) -> str:
        """The next message.

        Raises:
            TooSlow: some were lost.
        """
        await self._more.wait()
        if self._lost:
            raise TooSlow
        text = self._waiting.popleft()
        self.size -= len(text)
        if not self._waiting:
            self._more.clear()
        return text


class Hub:
    """All who listen here. What is published is also given to `pass_on`, for the other replicas; `is_behind`: much of
    that waits.
    """

    def __init__(
        self,
        pass_on: Callable[[Published], None] = lambda published: None,
        is_behind: Callable[[], bool] = lambda: False,
    ) -> None:
        self._pass_on = pass_on
        self._is_behind = is_behind
        self._of: defaultdict[Topic, set[Listener]] = defaultdict(set)
        self._listeners: set[Listener] = set()
        self.listened = asyncio.Event()
        """Set while somebody listens."""

    def publish(self, published: Published) -> None:
        """Tell all who listen."""
        self.tell(published)
        self._pass_on(published)

    def tell(self, published: Published) -> None:
        """Tell those who listen here."""
        if listeners := self._of.get(published.topic):
            room = _MOST_BYTES_OF_ALL - sum(each.size for each in self._listeners)
            for listener in listeners:
                room -= listener.offer(published.text, room)

    async def keep_pace(self, topics: Iterable[Topic]) -> None:
        """Wait until most was read of what was told; who reads nothing for long is let go."""
        topics = tuple(topics)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while self._is_behind() or self._slow(topics):  # noqa: ASYNC110 - what is read sets no signal
                    await asyncio.sleep(_AGAIN)
        for listener in self._slow(topics):
            listener.let_go()

    def _slow(self, topics: Iterable[Topic]) -> list[Listener]:
        return [listener for topic in topics for listener in self._of.get(topic, ()) if listener.is_behind]

    @contextmanager
    def listening(self, topics: Iterable[Topic]) -> Iterator[Listener]:
        """Listen for the length of the block.

        Raises:
            Full: too many do.
        """
        if len(self._listeners) >= MOST:
            raise Full
        listener, topics = Listener(), frozenset(topics)
        self._listeners.add(listener)
        self.listened.set()
        for topic in topics:
            self._of[topic].add(listener)
        try:
            yield listener
        finally:
            self._leave(listener, topics)

    def _leave(self, listener: Listener, topics: frozenset[Topic]) -> None:
        self._listeners.discard(listener)
        for topic in topics:
            self._of[topic].discard(listener)
            if not self._of[topic]:
                del self._of[topic]
        if not self._listeners:
            self.listened.clear()
