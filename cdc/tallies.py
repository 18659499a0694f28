"""What this process did, counted in memory: a few dictionary operations for each batch, nothing that waits.

Each process has one book, `counted`, as it has one log. Who counts does so after the commit of what is counted, never
before; `cdc.store.counting` sees to that for whatever is stored over a connection. The service drains the books of its
processes every few seconds (`cdc.service.tallying`). A process that dies takes what it had not told yet with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 10800.0, 86400.0)
"""Seconds: the upper bounds of the buckets that durations are counted in; one more bucket is for those above."""

BUCKETS = len(BOUNDS) + 1

MOST_NAMES = 200
"""Names that are told apart of each kind of thing; what has another one is counted as `OTHER`. Senders choose the names
of their events.
"""

OTHER = "other"

LONGEST_NAME = 200
"""Characters of a name that count."""

DOLLAR = 1_000_000_000
"""Costs are counted in billionths of a US dollar: whole numbers add up exactly."""

KINDS = {
    "event": "events accepted, by name",
    "started": "runs claimed for the first time, by function; how long they were due by then",
    "completed": "runs completed, by function; how long since they started",
    "failed": "the same of runs that failed",
    "cancelled": "the same of runs that were cancelled; of those that had not started, only how many",
    "retried": "attempts of steps and of handlers that failed and are made again, by function",
    "call": "calls of models that were answered, by provider/model; how long that took",
    "call_failed": "the same of calls that failed",
    "input_tokens": "tokens that models read, by provider/model",
    "output_tokens": "tokens that models wrote, by provider/model",
    "cost": "what calls cost, by provider/model, in billionths of a US dollar",
    "unpriced": "answered calls of which no price is known, by provider/model",
    "function_calls": "calls of models, by the function that made them",
    "function_tokens": "tokens that they read and wrote, by function",
    "function_cost": "what they cost, by function, in billionths of a US dollar",
}
"""All that is counted, and by what name."""


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened; `seconds` it took together, of those `buckets` that were timed (none: of none)."""

    what: str
    name: str
    count: int
    seconds: float = 0.0
    buckets: Sequence[int] = ()


class Tally:
    """One sum in the making."""

    __slots__ = ("buckets", "count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.buckets: list[int] = []

    def time(self, seconds: float) -> None:
        """One that took so long."""
        if seconds < 0.0:
            seconds = 0.0
        self.count += 1
        self.seconds += seconds
        if not self.buckets:
            self.buckets = [0] * BUCKETS
        self.buckets[bisect_left(BOUNDS, seconds)] += 1

    def add(self, count: int, seconds: float = 0.0, buckets: Sequence[int] = ()) -> None:
        """What was counted elsewhere."""
        self.count += count
        self.seconds += seconds
        if buckets:
            self.buckets = [a + b for a, b in zip(self.buckets or [0] * BUCKETS, buckets, strict=True)]


class Tallies:
    """Sums by what and name; of each kind at most `most` names, so that nothing grows without end."""

    def __init__(self, most: int = MOST_NAMES) -> None:
        self._most = most
        self._sums: dict[str, dict[str, Tally]] = {}

    def add(self, what: str, name: str, count: int = 1) -> None:
        """So many more."""
        self.tally(what, name).count += count

    def time(self, what: str, name: str, seconds: float) -> None:
        """One more, which took so long."""
        self.tally(what, name).time(seconds)

    def take(self, counts: Iterable[Count]) -> None:
        """Add what was counted elsewhere."""
        for each in counts:
            self.tally(each.what, each.name).add(each.count, each.seconds, each.buckets)

    def counts(self) -> list[Count]:
        """All sums so far."""
        return [
            Count(what, name, tally.count, tally.seconds, tally.buckets)
            for what, names in self._sums.items()
            for name, tally in names.items()
        ]

    def of(self, what: str) -> Mapping[str, Tally]:
        """The sums of one kind, by name."""
        return self._sums.get(what, {})

    def named(self, what: str, name: str) -> str:
        """The name under which this one is counted."""
        names, name = self._sums.get(what, {}), name[:LONGEST_NAME]
        return name if name in names or len(names) < self._most else OTHER

    def drain(self) -> list[Count]:
        """All sums since the last time."""
        counts, self._sums = self.counts(), {}
        return counts

    def tally(self, what: str, name: str) -> Tally:
        """The sum of this name, until the next `drain`."""
        names = self._sums.get(what)
        if names is None:
            names = self._sums[what] = {}
        tally = names.get(name)
        return tally or names.setdefault(self.named(what, name), Tally())


counted = Tallies()
"""The book of this process."""


def quantile(buckets: Sequence[int], share: float) -> float | None:
    """The duration that this share of those counted did not exceed, in seconds; None of none.

    Interpolated within its bucket, as if those in it were spread evenly: no more exact than the bounds are apart. What
    took longer than the last bound is taken for as long as that.
    """
    total = sum(buckets)
    if not total:
        return None
    rank, below = share * total, 0
    for bucket, count in enumerate(buckets[: len(BOUNDS)]):
        if count and below + count >= rank:
            lower = BOUNDS[bucket - 1] if bucket else 0.0
            return lower + (BOUNDS[bucket] - lower) * max(0.0, rank - below) / count
        below += count
    return BOUNDS[-1]
