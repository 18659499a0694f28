"""Options of a function: how often it is tried, and how its events are put together."""

from __future__ import annotations

from dataclasses import dataclass

MAX_RETRIES = 20


@dataclass(frozen=True, slots=True)
class Batch:
    """Give a run up to `max_size` events at once: those that were accepted together.

    Nothing is held back to fill a batch: at low load each event is a batch of one, in a burst batches fill up.
    """

    max_size: int = 100

    def __post_init__(self) -> None:
        if not 1 <= self.max_size <= 10_000:
            raise ValueError(f"batch_events: max_size must be 1 to 10000, not {self.max_size}")


def checked_retries(retries: int) -> int:
    """The number of retries after the first attempt.

    Raises:
        ValueError: it is not within 0 and 20.
    """
    if type(retries) is not int or not 0 <= retries <= MAX_RETRIES:
        raise ValueError(f"retries must be 0 to {MAX_RETRIES}, not {retries!r}")
    return retries
