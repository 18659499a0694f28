"""Options of a function: how often it is tried, and flow control, in Inngest's words.

Each option checks itself when it is written and knows its stored form; `cdc.events.rules` applies it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from cdc.authoring.expressions import Expression, matching
from cdc.authoring.triggers import checked_event
from cdc.clock import Duration, seconds

MAX_RETRIES = 20
MAX_PRIORITY = 600
"""Seconds by which a run may be moved forward or back in the queue."""

_WEEK = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Give a run up to `max_size` events at once, in `ctx.events`.

    Without a `timeout` nothing is held back: events that were accepted together share a run, at low load each has its
    own. With one, a batch waits up to so long to fill. Each `key` (CEL) has batches of its own; an event for which
    `if_exp` is false starts a run alone, at once.
    """

    max_size: int = 100
    timeout: Duration | None = None
    key: str | None = None
    if_exp: str | None = None

    def __post_init__(self) -> None:
        _whole("batch_events: max_size", self.max_size, 1, 10_000)
        if self.timeout is not None:
            _within("batch_events: timeout", self.timeout, 0.1, _WEEK)
        _expression(self.key)
        _expression(self.if_exp)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        timeout = None if self.timeout is None else seconds(self.timeout)
        return {"max_size": self.max_size, "timeout": timeout, "key": self.key, "if_exp": self.if_exp}


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most `limit` runs execute at the same moment, for each `key` (CEL) when there is one.

    Runs that sleep or wait do not count. With scope `env` the limit is shared by all functions that have the same key.
    """

    limit: int
    key: str | None = None
    scope: Literal["fn", "env", "account"] = "fn"

    def __post_init__(self) -> None:
        _whole("concurrency: limit", self.limit, 1, 1_000_000)
        _expression(self.key)
        if self.scope not in ("fn", "env", "account"):
            raise ValueError(f"concurrency: scope must be fn, env or account, not {self.scope!r}")
        if self.scope != "fn" and self.key is None:
            raise ValueError(f"concurrency: scope {self.scope} needs a key, which names what is shared")

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"limit": self.limit, "key": self.key, "scope": self.scope}


@dataclass(frozen=True, slots=True)
class Throttle:
    """Start at most `limit` runs each `period`, evenly spread; what comes too soon waits. `burst` may start at once."""

    limit: int
    period: Duration
    burst: int = 1
    key: str | None = None

    def __post_init__(self) -> None:
        _whole("throttle: limit", self.limit, 1, 1_000_000)
        _whole("throttle: burst", self.burst, 1, 1_000_000)
        _within("throttle: period", self.period, 1.0, _WEEK)
        _expression(self.key)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"limit": self.limit, "period": seconds(self.period), "burst": self.burst, "key": self.key}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Start at most `limit` runs in a `period` that begins with the first of them; events beyond it start nothing."""

    limit: int
    period: Duration
    key: str | None = None

    def __post_init__(self) -> None:
        _whole("rate_limit: limit", self.limit, 1, 1_000_000)
        _within("rate_limit: period", self.period, 1.0, _WEEK)
        _expression(self.key)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"limit": self.limit, "period": seconds(self.period), "key": self.key}


@dataclass(frozen=True, slots=True)
class Debounce:
    """Start one run with the last event, when none has come for `period`; at the latest `timeout` after the first."""

    period: Duration
    key: str | None = None
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        _within("debounce: period", self.period, 0.1, _WEEK)
        if self.timeout is not None:
            _within("debounce: timeout", self.timeout, 0.1, 52 * _WEEK)
        _expression(self.key)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        timeout = None if self.timeout is None else seconds(self.timeout)
        return {"period": seconds(self.period), "key": self.key, "timeout": timeout}


@dataclass(frozen=True, slots=True)
class Singleton:
    """One run at a time, for each `key` when there is one: a new event is skipped meanwhile, or cancels that run."""

    mode: Literal["skip", "cancel"] = "skip"
    key: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("skip", "cancel"):
            raise ValueError(f"singleton: mode must be skip or cancel, not {self.mode!r}")
        _expression(self.key)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"mode": self.mode, "key": self.key}


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel a run when this event comes: `if_exp` compares it (`async`) with the run's own (`event`).

    `match="data.user_id"` is short for that field being equal in both. After `timeout` the event cancels no more.
    """

    event: str
    if_exp: str | None = None
    match: str | None = None
    timeout: Duration | None = None

    def __post_init__(self) -> None:
        checked_event(self.event)
        if "*" in self.event:
            raise ValueError(f"cancel_on: {self.event!r} is a pattern; name one event")
        condition(self.if_exp, self.match)
        if self.timeout is not None:
            _within("cancel_on: timeout", self.timeout, 0.1, 520 * _WEEK)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        chosen = condition(self.if_exp, self.match)
        timeout = None if self.timeout is None else seconds(self.timeout)
        return {"event": self.event, "if_exp": chosen.text if chosen else None, "timeout": timeout}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Cancel a run that has not started `start` after its event, or not ended `finish` after its start."""

    start: Duration | None = None
    finish: Duration | None = None

    def __post_init__(self) -> None:
        for name, given in (("start", self.start), ("finish", self.finish)):
            if given is not None:
                _within(f"timeouts: {name}", given, 0.1, 520 * _WEEK)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        given = {"start": self.start, "finish": self.finish}
        return {name: None if duration is None else seconds(duration) for name, duration in given.items()}


def condition(if_exp: str | None, match: str | None) -> Expression | None:
    """The expression over `event` and `async` that either of them stands for.

    Raises:
        ValueError: both are given, or one is not usable.
    """
    if if_exp is not None and match is not None:
        raise ValueError("give if_exp or match, not both")
    if match is not None:
        return matching(match)
    return None if if_exp is None else Expression.compile(if_exp, of=("event", "async"))


def checked_retries(retries: int) -> int:
    """The number of retries after the first attempt.

    Raises:
        ValueError: it is not within 0 and 20.
    """
    if type(retries) is not int or not 0 <= retries <= MAX_RETRIES:
        raise ValueError(f"retries must be 0 to {MAX_RETRIES}, not {retries!r}")
    return retries


def _whole(what: str, value: int, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{what} must be {least} to {most}, not {value!r}")


def _within(what: str, duration: Duration, least: float, most: float) -> None:
    if not least <= seconds(duration) <= most:
        raise ValueError(f"{what} must be {least:g} to {most:g} seconds, not {duration!r}")


def _expression(text: str | None) -> None:
    if text is not None:
        Expression.compile(text)
