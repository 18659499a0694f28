"""What a benchmark returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `at_most` or `at_least` is the goal, where there is one."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of 100 do not exceed, between the two nearest."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]
