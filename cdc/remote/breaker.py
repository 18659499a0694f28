"""When an app that is out of reach is tried again. Pure: the clock is passed in.

After a few calls in a row that did not reach it, none is made for a second, then for two, up to a minute; then one at
a time, until one reaches it.
"""

from __future__ import annotations

import random
from collections.abc import Callable

PATIENCE = 5
"""Calls in a row that do not reach an app, until none is made."""

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds without a call."""


class Breaker:
    """Of one app. `now` tells seconds that only grow; `spread` is between 0 and 1, so that not all try at once."""

    def __init__(self, now: Callable[[], float], spread: Callable[[], float] = random.random) -> None:
        self._now = now
        self._spread = spread
        self._missed = 0
        self._pause = 0.0
        self._until: float | None = None
        self._trying = False

    @property
    def is_closed(self) -> bool:
        """Whether calls are made as they come."""
        return self._until is None

    @property
    def opens_in(self) -> float:
        """Seconds until the app may be tried again; 0 when it may be now."""
        return 0.0 if self._until is None else max(0.0, self._until - self._now())

    @property
    def has_room(self) -> bool:
        """Whether a call would be admitted now."""
        return self.is_closed or (not self._trying and self.opens_in == 0)

    def admits(self) -> bool:
        """Whether a call may be made now. Who is told so says how it went, with one of the three below."""
        if not self.has_room:
            return False
        self._trying = not self.is_closed
        return True

    def reached(self) -> None:
        """The app got a call."""
        self._missed, self._pause, self._until, self._trying = 0, 0.0, None, False

    def unreached(self) -> None:
        """The app did not get a call. One that was on its way before the others were held back changes nothing."""
        self._missed += 1
        if self._missed < PATIENCE or not (self.is_closed or self._trying):
            return
        self._pause = min(LONGEST, self._pause * 2 or SHORTEST)
        self._until = self._now() + self._pause * (0.75 + self._spread() / 4)
        self._trying = False

    def given_up(self) -> None:
        """Nobody waited for how a call went."""
        self._trying = False
