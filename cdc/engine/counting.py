"""What a worker counts of its runs, after it has become durable. It is part of every run: a microsecond counts."""

from __future__ import annotations

from collections.abc import Iterable

from cdc.engine.inference import Answered
from cdc.engine.outcome import Completed, Failed, Outcome, Retry
from cdc.store.runs import ClaimedRun
from cdc.tallies import Tally, counted


def claimed(runs: Iterable[ClaimedRun]) -> None:
    """Runs that were claimed; of those claimed for the first time, how long they were due by then."""
    tallies: dict[str, Tally] = {}
    for run in runs:
        if run.is_first:
            tally = tallies.get(run.function_id)
            if tally is None:
                tally = tallies[run.function_id] = counted.tally("started", run.function_id)
            tally.time(run.claimed_at - run.since)


def left(run: ClaimedRun, outcome: Outcome, now: float, retried: int) -> None:
    """A run that left its worker `now`, in seconds since 1970, after so many attempts of steps that are made again."""
    started_at = run.claimed_at if run.is_first else run.since
    if isinstance(outcome, Completed):
        counted.tally("completed", run.function_id).time(now - started_at)
    elif isinstance(outcome, Failed):
        counted.tally("failed", run.function_id).time(now - started_at)
    elif isinstance(outcome, Retry):
        retried += 1
    if retried:
        counted.add("retried", run.function_id, retried)


def answered(answers: Iterable[Answered]) -> None:
    """Calls of models that were answered or failed; those that are made again."""
    for each in answers:
        if each.record.due_in is not None:
            counted.add("retried", each.asked.inference.function_id)
