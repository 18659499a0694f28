"""Executes one claimed run: call the handler over its memos, end in one outcome, record it once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from cdc import faults
from cdc.authoring.context import Context, Database, Embeddings
from cdc.authoring.event import Event
from cdc.authoring.function import Function
from cdc.engine import backoff, memo, outcome
from cdc.engine.journal import Journal, RecordRefused
from cdc.engine.outcome import Completed, Failed, Outcome, Retry, Suspended
from cdc.engine.steps import LiveSteps, RunLost, RunSuspended
from cdc.errors import LeaseLost, NonRetriableError, RetryAfter, StepError
from cdc.store.runs import ClaimedRun, Memo

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Executor:
    """Runs handlers in this process. `drop_after_each_step` suspends a run after every step, so that all its
    steps go through replay: for tests of replay and of functions.
    """

    functions: Mapping[str, Function]
    journal: Journal
    db: Database
    embeddings: Embeddings
    drop_after_each_step: bool = False

    async def execute(self, run: ClaimedRun, events: Sequence[Event], memos: Mapping[str, Memo]) -> Outcome:
        """Take the run as far as it goes now, and record where that is.

        Raises:
            LeaseLost: the run belongs to another worker; nothing was recorded.
        """
        function = self.functions[run.function_id]
        steps = LiveSteps(
            run.id,
            function.retries,
            memos,
            self.journal,
            _cancel_current_task(),
            drop_after_each_step=self.drop_after_each_step,
        )
        context = self._context(run, events, steps)
        ended = await self._call(run, function, context, steps)
        return await self._recorded(run, ended, steps)

    def _context(self, run: ClaimedRun, events: Sequence[Event], steps: LiveSteps) -> Context:
        return Context(
            run_id=run.id,
            attempt=run.failures + 1,
            events=events,
            step=steps,
            db=self.db,
            embeddings=self.embeddings,
            logger=log.bind(run=run.id, function=run.function_id),
        )

    async def _call(self, run: ClaimedRun, function: Function, context: Context, steps: LiveSteps) -> Outcome:
        try:
            output = await function.handler(context)
            if steps.suspended:
                return Suspended(*steps.wait)
            return Completed(memo.dump("what the handler returned", output))
        except (asyncio.CancelledError, RunSuspended):
            if not steps.suspended:
                raise
            _uncancel()
            return Suspended(*steps.wait)
        except RunLost:
            raise LeaseLost("This worker's lease is gone; the run belongs to another worker now.") from None
        except (NonRetriableError, StepError) as error:
            return _failed(run, error)
        except Exception as error:  # noqa: BLE001 - whatever an author's code raises is the run's failure
            return _retry(run, function, error)

    async def _recorded(self, run: ClaimedRun, ended: Outcome, steps: LiveSteps) -> Outcome:
        faults.point("run.ended")
        try:
            await self.journal.write(steps.unwritten, outcome.record(run, ended))
        except RecordRefused as refused:
            ended = _failed(run, refused)
            await self.journal.write((), outcome.record(run, ended))
        return ended


def _retry(run: ClaimedRun, function: Function, error: Exception) -> Outcome:
    counts = not isinstance(error, RetryAfter) or error.counts_as_attempt
    if counts and run.failures >= function.retries:
        return _failed(run, error)
    try:
        due_in = backoff.delay_for(error, run.failures + 1)
    except ValueError as unusable:
        return _failed(run, unusable)
    log.warning("run is tried again", run=run.id, function=run.function_id, error=type(error).__name__, seconds=due_in)
    return Retry(memo.error_of(error).json, due_in, counts)


def _failed(run: ClaimedRun, error: Exception) -> Failed:
    """Told with the error's class only: its message may carry row data, which stays in the database."""
    log.error("run failed", run=run.id, function=run.function_id, error=type(error).__name__)
    return Failed(memo.error_of(error).json)


def _cancel_current_task() -> Callable[[], Any]:
    task = asyncio.current_task()
    assert task is not None, "runs are executed in tasks"
    return task.cancel


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
