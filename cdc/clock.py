"""Durations and moments as people write them, the database's clock, and waiting for no longer than so many seconds."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")

Duration = str | int | float | timedelta
"""`"1h30m"`, a number of seconds, or a timedelta."""


def seconds(duration: Duration) -> float:
    """How long a duration is, in seconds.

    Raises:
        ValueError: the text is not a sequence of number and unit (ms, s, m, h, d, w), or it is negative.
    """
    if isinstance(duration, timedelta):
        duration = duration.total_seconds()
    if isinstance(duration, int | float):
        if not 0 <= duration < float("inf"):
            raise ValueError(f"not a duration: {duration!r}")
        return float(duration)
    parts = _PART.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration.replace(" ", ""):
        raise ValueError(f"not a duration: {duration!r} (write it like '90s', '5m' or '1h30m')")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def moment(text: str) -> datetime:
    """A moment as people give it: in ISO 8601 (UTC unless it says otherwise).

    Raises:
        ValueError: it is not.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"not a moment: {text!r} (write it like '2026-05-01' or '2026-05-01T12:00Z')") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def past(text: str) -> datetime:
    """A moment in the past as people give it: as `moment`, or how long ago it was.

    Raises:
        ValueError: it is neither.
    """
    try:
        return datetime.now(UTC) - timedelta(seconds=seconds(text))
    except (ValueError, OverflowError):
        return moment(text)


def due_in(when: object, now: Callable[[], float] = time.time) -> float:
    """Seconds until what a `RetryAfter` names: a duration or a datetime; `now` tells the seconds since 1970.

    Raises:
        ValueError: it is no duration and no datetime with a time zone.
    """
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise ValueError("RetryAfter needs a datetime with a time zone")
        return max(0.0, when.timestamp() - now())
    if isinstance(when, str | int | float | timedelta):
        return seconds(when)
    raise ValueError(f"RetryAfter needs a duration or a datetime, not {type(when).__name__}")


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, but no longer; whether it is set.

    Not by `asyncio.wait_for`: that of Python 3.11 may lose a cancellation that comes together with the event.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


class ServerClock:
    """The database's clock, carried on by a clock of our own that nobody sets: the machine's may be hours off."""

    def __init__(self) -> None:
        self._ahead = time.time() - time.monotonic()

    def set(self, now: float, at: float) -> None:
        """It is, or was, `now` (seconds since 1970) at the moment `at` of `time.monotonic()`."""
        self._ahead = now - at

    def now(self) -> float:
        """Seconds since 1970; the machine's own before `set` was called."""
        return time.monotonic() + self._ahead
