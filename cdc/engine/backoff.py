"""When a failed attempt is made again."""

from __future__ import annotations

import time
from collections.abc import Callable

from cdc.clock import due_in
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
    return due_in(when, now)
