"""How many requests a provider gets at a time, and when: learnt from what it answers.

Pure: the caller says what time it is. More at a time by one after each good round, half as many after a refusal, and
nothing at all until the provider wants to be asked again. Refusals that follow each other show the rate that it
takes, and requests keep to it. Where answers name what is left of a limit, that is kept to before it is refused.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cdc.embedding.providers.rates import Rate

_SHORTEST, _LONGEST = 1.0, 30.0
"""Seconds to hold for a provider that does not say how long; doubled each time between the two."""

_SLOWER = 1.5
"""More at a time only while a request takes at most so many times what the quickest round took."""

_FASTER = 0.95
"""The time between two requests, after each that was answered."""

_NO_GAP = 0.005

_RECENT = 90.0
"""Seconds between two refusals that show a rate: limits are by the minute at most, mostly."""


class Start(NamedTuple):
    """A request that was started: in which round, and with about how many tokens."""

    round: int
    tokens: float


class Pace:
    """Of one model. `start` requests at a time at first, `most` at last."""

    def __init__(self, start: int, most: int) -> None:
        self._places = start
        self._start, self._most = start, most
        self._round = 0
        self._answered = 0
        self._taken = 0.0
        self._quickest = float("inf")
        self._refusals = 0
        self._accepted = 0
        self._refused_at: float | None = None
        self._gap = 0.0
        self._not_before = 0.0
        self._refused_until: float | None = None
        self._left: dict[str, _Bucket] = {}
        self._flying = {"requests": 0.0, "tokens": 0.0}

    @property
    def places(self) -> int:
        """Requests that may be in flight: after a refusal a single one, until it is answered."""
        return self._places if self._refused_until is None else 1

    @property
    def scarce(self) -> bool:
        """Requests are few: each should carry what it can."""
        return self._gap > 0 or self.places < self._start

    def tokens(self, most: float) -> float:
        """Of the tokens that a request could carry, those that it should.

        More than a limit has in all would never be taken; and a provider that refuses again and again may mean that.
        """
        if "tokens" in self._left:
            most = min(most, self._left["tokens"].size)
        return most / (1 << max(self._refusals - 2, 0))

    def wait(self, now: float, tokens: float) -> float:
        """Seconds until a request of about so many tokens may start; 0: at once."""
        waits = [bucket.wait(now, _cost(kind, tokens)) for kind, bucket in self._left.items()]
        return max(0.0, self._not_before - now, *waits)

    def started(self, now: float, tokens: float) -> Start:
        """A request starts; `ended` has to follow."""
        self._not_before = max(self._not_before, now + self._gap)
        for kind in self._flying:
            self._flying[kind] += _cost(kind, tokens)
            if kind in self._left:
                self._left[kind].take(now, _cost(kind, tokens))
        return Start(self._round, tokens)

    def ended(self, start: Start) -> None:
        """A request is no more on its way, whatever became of it."""
        for kind in self._flying:
            self._flying[kind] -= _cost(kind, start.tokens)

    def answered(
        self, now: float, start: Start, latency: float, rates: Iterable[Rate] = (), *, busy: bool = False
    ) -> None:
        """A request got its answer after `latency` seconds; `busy`: more texts were waiting, so more places help."""
        for rate in rates:
            # The others on their way may not have been counted yet.
            others = self._flying[rate.kind] - _cost(rate.kind, start.tokens)
            self._left[rate.kind] = _Bucket.of(rate, now, others)
        if self._refused_until is not None and now < self._refused_until:
            return  # asked before the refusal; it says nothing of what has changed since
        self._refusals, self._refused_until = 0, None
        self._accepted += 1
        self._gap = self._gap * _FASTER if self._gap > _NO_GAP else 0.0
        if not busy:
            return
        self._answered += 1
        self._taken += latency
        if self._answered >= self._places:
            self._adjust(self._taken / self._answered)
            self._next_round()

    def refused(self, now: float, start: Start, retry_after: float | None) -> float:
        """The provider wants fewer requests; returns the seconds until the next may start."""
        news = start.round == self._round  # others of the same round say nothing new
        self._refusals += news
        wait = retry_after
        if wait is None:
            wait = min(_SHORTEST * (1 << max(self._refusals - 1, 0)), _LONGEST)
        if news:
            if self._refused_at is not None and now - self._refused_at < _RECENT:
                self._gap = (now - self._refused_at) / max(self._accepted, 1)
            self._refused_at, self._accepted = now, 0
            self._places = max(1, self._places // 2)
            self._next_round()
        # A little more, and not the same for all processes that were refused at once.
        until = now + wait * random.uniform(1.0, 1.1)  # noqa: S311
        self._refused_until = max(self._refused_until or 0.0, until)
        self._not_before = max(self._not_before, self._refused_until)
        return self._not_before - now

    def _adjust(self, mean: float) -> None:
        self._quickest = min(self._quickest * 1.05, mean)
        if self._places < self._start or mean <= self._quickest * _SLOWER:
            self._places = min(self._places + 1, self._most)
        elif self._places > self._start:
            self._places -= 1

    def _next_round(self) -> None:
        self._round += 1
        self._answered, self._taken = 0, 0.0


def _cost(kind: str, tokens: float) -> float:
    return tokens if kind == "tokens" else 1.0


@dataclass(slots=True)
class _Bucket:
    """What is left of one limit; it fills evenly."""

    size: float
    left: float
    per_second: float
    at: float

    @classmethod
    def of(cls, rate: Rate, now: float, others: float) -> _Bucket:
        missing = max(rate.limit - rate.remaining, 0.0)
        per_second = missing / rate.reset if rate.reset > 0 else rate.limit
        return cls(rate.limit, min(rate.remaining, rate.limit) - others, per_second or rate.limit, now)

    def wait(self, now: float, cost: float) -> float:
        # What is more than the bucket can hold goes when it is full: the provider may count otherwise.
        return max(0.0, (min(cost, self.size) - self._level(now)) / self.per_second)

    def take(self, now: float, cost: float) -> None:
        self.left, self.at = self._level(now) - cost, now

    def _level(self, now: float) -> float:
        return min(self.size, self.left + (now - self.at) * self.per_second)
