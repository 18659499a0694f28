"""What an app's failures are to the engine: tried again, tried again later, or final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cdc.errors import NonRetriableError, RetryAfter, Thrown
from cdc.remote.answer import Threw


class ThrownForGood(Thrown, NonRetriableError):
    """The app said that trying again would not help."""


class ThrownUntil(Thrown, RetryAfter):
    """The app said when to try again: in `delay` seconds."""

    def __init__(self, name: str, message: str, more: Mapping[str, Any], delay: float) -> None:
        super().__init__(name, message, more)
        self.delay = delay


class AppAway(RetryAfter):
    """The app did not get the call: that is no attempt of its function."""

    counts_as_attempt = False


def failed(threw: Threw) -> Thrown:
    """What an answer that the function failed has the engine do.

    Kept with it: the SDK's `code`, and under `error` what Inngest calls the failure in its events.
    """
    told = {**threw.error, "error": "NonRetriableError" if threw.no_retry else "invalid status code: 500"}
    if isinstance(threw.raw, Mapping) and isinstance(threw.raw.get("code"), str):
        told["code"] = threw.raw["code"]
    return thrown(replace(threw, error=told))


def thrown(threw: Threw) -> Thrown:
    """What an answer has the engine do."""
    told = threw.error
    name, message = str(told.get("name") or "Error"), str(told.get("message") or "")
    more = {key: value for key, value in told.items() if key not in ("name", "message")}
    if threw.no_retry:
        return ThrownForGood(name, message, more)
    if threw.retry_after is not None:
        return ThrownUntil(name, message, more, threw.retry_after)
    return Thrown(name, message, more)
