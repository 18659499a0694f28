"""When a failed attempt is made again."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from cdc.clock import seconds
from cdc.errors import RetryAfter

LONGEST = 3600.0
"""Seconds; doubling stops here, so that twenty retries take hours and not days."""


def delay(attempt: int) -> float:
    """Seconds to wait after the given failed attempt (1-based): 1, 2, 4 ... up to an hour."""
    return float(min(2.0 ** min(attempt - 1, 30), LONGEST))


def delay_for(error: BaseException, attempt: int, now: Callable[[], float] = time.time) -> float:
    """The same, unless the error itself says when (`RetryAfter` with a `delay`); `now` tells the seconds since 1970.

    Raises:
        ValueError: the delay of a `RetryAfter` is no duration and no datetime with a time zone.
    """
    when = error.delay if isinstance(error, RetryAfter) else None
    if when is None:
        return delay(attempt)
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise ValueError("RetryAfter needs a datetime with a time zone")
        return max(0.0, when.timestamp() - now())
    if isinstance(when, str | int | float | timedelta):
        return seconds(when)
    raise ValueError(f"RetryAfter needs a duration or a datetime, not {type(when).__name__}")
