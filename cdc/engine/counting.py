"""What a worker counts of its runs, each time after it has become durable."""

from __future__ import annotations

from collections.abc import Iterable

from cdc.engine.inference import Answered
from cdc.engine.outcome import Completed, Failed, Outcome, Retry
from cdc.store.runs import ClaimedRun
from cdc.tallies import counted


def claimed(runs: Iterable[ClaimedRun]) -> None:
    """Runs that were claimed; of those claimed for the first time, how long they were due by then."""
    for run in runs:
        if run.is_first:
            counted.time("started", run.function_id, run.claimed_at - run.waited_since)


def left(run: ClaimedRun, outcome: Outcome, now: float, retried: int) -> None:
    """A run that left its worker `now`, in seconds since 1970, after so many attempts of steps that are made again."""
    match outcome:
        case Completed():
            counted.time("completed", run.function_id, now - run.started_at)
        case Failed():
            counted.time("failed", run.function_id, now - run.started_at)
        case Retry():
            retried += 1
    if retried:
        counted.add("retried", run.function_id, retried)


def answered(answers: Iterable[Answered]) -> None:
    """Calls of models that were answered or failed; those that are made again."""
    for each in answers:
        if each.record.due_in is not None:
            counted.add("retried", each.asked.inference.function_id)
