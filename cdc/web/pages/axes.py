"""Axes of plots: where their ticks are, and what stands beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor, log10

from cdc.web.pages import wording

_MINUTE, _HOUR, _DAY = 60, 3600, 86400

_CLOCK = (1, 2, 5, 10, 15, 30, *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)), *(_HOUR * n for n in (1, 2, 3, 6, 12)))
"""Seconds between ticks, as people divide hours and days."""

_LABELS = 7
"""Times below a plot, at most."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How figures are told, and how far apart their ticks may be: any round number, whole ones, or those of a clock."""

    say: Callable[[float | None], str]
    whole: bool = False
    clock: bool = False

    def label(self, value: float) -> str:
        """A figure beside an axis: what is round is short."""
        return re.sub(r" 0[a-z]$|\.00$|(?<=\.\d\d)0+$|(?<=\.\d\d\d)0+$", "", self.say(value)) if value else "0"


COUNT = Unit(wording.number, whole=True)
NUMBER = Unit(wording.number)
SECONDS = Unit(wording.duration, clock=True)
BYTES = Unit(wording.size, whole=True)
MONEY = Unit(wording.money)


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis, from 0 to 1, and what stands there. `spare`: left out where there is little room."""

    at: float
    label: str
    spare: bool = False


def values(greatest: float, unit: Unit, most: int = 4) -> tuple[float, list[Tick]]:
    """The top of an axis from 0 that has room for the greatest value, and its ticks at round figures."""
    step = _round(greatest / most, unit) if greatest > 0 else 1.0
    count = max(1, -floor(-greatest / step * (1 - 1e-9)))
    return count * step, [Tick(number / count, unit.label(number * step)) for number in range(count + 1)]


def times(since: float, until: float) -> list[Tick]:
    """Ticks at round times (UTC) from one moment, in seconds since 1970, to another."""
    apart = next((step for step in _CLOCK if (until - since) / step <= _LABELS), None)
    if apart is None:
        apart = _DAY * max(1, -floor(-(until - since) / _DAY / _LABELS))
    length = until - since
    moments = range(-floor(-since / apart) * apart, floor(until) + 1, apart)
    inside = [moment for moment in moments if 0.03 <= (moment - since) / length <= 0.97]
    return [
        Tick((moment - since) / length, _moment(moment, apart), spare=number % 2 == 1)
        for number, moment in enumerate(inside)
    ]


def told(moment: float, step: int) -> str:
    """A step of a plot in words."""
    form = "%d %b %Y" if step >= _DAY else "%d %b %H:%M"
    return datetime.fromtimestamp(moment, UTC).strftime(form)


def greatest(lines: Sequence[Sequence[float | None]]) -> float:
    """The greatest of all values; 0 without any."""
    return max((value for line in lines for value in line if value is not None), default=0.0)


def _round(least: float, unit: Unit) -> float:
    """The first round distance that is not smaller."""
    if unit.clock and least > 1:
        return next((float(step) for step in _CLOCK if step >= least), _DAY * _decimal(least / _DAY))
    return max(1.0, _decimal(least)) if unit.whole else _decimal(least)


def _decimal(least: float) -> float:
    power = 10.0 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * (1 - 1e-9))


def _moment(moment: float, apart: int) -> str:
    form = "%d %b" if apart >= _DAY else "%H:%M" if apart >= _MINUTE else "%H:%M:%S"
    return datetime.fromtimestamp(moment, UTC).strftime(form)
