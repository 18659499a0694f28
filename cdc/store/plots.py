"""What plots are made of: a window of time in steps, and lines over it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

Span = Literal["1h", "24h", "7d", "31d"]
"""How far back."""

_STEPS: Mapping[Span, tuple[int, int, int]] = {
    "1h": (3600, 60, 60),
    "24h": (86400, 300, 60),
    "7d": (7 * 86400, 3600, 3600),
    "31d": (31 * 86400, 86400, 3600),
}
"""Seconds back, seconds of a step, and of what is read: minutes or hours."""


class Window(NamedTuple):
    """From `since` to `until`, in seconds since 1970, in steps of `step` seconds that begin at multiples of it (so
    days are those of UTC). The last one is under way. `width`: seconds of the rows that it is read from.
    """

    since: int
    until: float
    step: int
    width: int

    @property
    def bins(self) -> range:
        """The steps, as numbers of steps since 1970."""
        return range(self.since // self.step, math.floor(self.until / self.step) + 1)

    @property
    def times(self) -> list[int]:
        """When each step begins, in seconds since 1970."""
        return [number * self.step for number in self.bins]

    @property
    def seconds(self) -> float:
        """From its begin to now."""
        return max(1.0, self.until - self.since)

    @property
    def elapsed(self) -> list[float]:
        """Seconds of each step that are over."""
        last = max(1.0, self.until - self.bins[-1] * self.step)
        return [float(self.step)] * (len(self.bins) - 1) + [last]


class Line(NamedTuple):
    """One line of a plot: a value for each step, None where there is none."""

    name: str
    values: list[float | None]


class Plot(NamedTuple):
    """Lines over the steps that begin at `times` (seconds since 1970), each `step` seconds long."""

    times: list[int]
    step: int
    lines: list[Line]


def window(span: Span, now: float | None = None) -> Window:
    """The last hour by minute, day by five minutes, week by hour, or 31 days by day; it begins with a whole step."""
    back, step, width = _STEPS[span]
    until = time.time() if now is None else now
    return Window(int((until - back) // step + 1) * step, until, step, width)


def line(name: str, window: Window, values: Mapping[int, float], missing: float | None = 0.0) -> Line:
    """A line of values by number of step."""
    return Line(name, [values.get(number, missing) for number in window.bins])


def plot(window: Window, lines: Iterable[Line]) -> Plot:
    """A plot of these lines."""
    return Plot(window.times, window.step, list(lines))
