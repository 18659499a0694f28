"""Executes one claimed run: call the handler over its memos, end in one outcome, record it once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import structlog

from cdc import faults
from cdc.authoring.context import Context
from cdc.authoring.event import Event
from cdc.authoring.function import Function
from cdc.engine import backoff, counting, memo, outcome
from cdc.engine.bodies import StepDatabase
from cdc.engine.journal import Entry, Journal, RecordRefused
from cdc.engine.lines import Lines
from cdc.engine.outcome import Completed, Failed, Outcome, Retry, Suspended
from cdc.engine.rereading import Rereading
from cdc.engine.roster import Roster
from cdc.engine.sources import AtSource, Sources, named, source_of
from cdc.engine.steps import LiveSteps, RunLost, is_failure
from cdc.engine.suspension import Suspension
from cdc.engine.whereabouts import Whereabouts
from cdc.errors import EventUnfit, LeaseLost, NonRetriableError, RetryAfter, StepError
from cdc.events.ending import FAILED, FINISHED, lifecycle
from cdc.store.deferred import DEFER
from cdc.store.events import Incoming
from cdc.store.json import loads
from cdc.store.runs import ClaimedRun, Memo

log = structlog.get_logger(__name__)


QUARANTINE = 6
"""Suspicion at which a run is called no more: three processes that died under it, or six leases that ran out."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Runs handlers in this process. `drop_after_each_step` suspends a run after every step, so that all its
    steps go through replay: for tests of replay and of functions. `keeps_content`: what models are asked and say stays.
    """

    roster: Roster
    journal: Journal
    worker_id: int
    sources: Sources
    rereading: Rereading
    keeps_content: bool = True
    drop_after_each_step: bool = False

    async def execute(
        self,
        run: ClaimedRun,
        events: Sequence[Event],
        memos: Mapping[str, Memo],
        told: Mapping[str, int],
        place: Whereabouts,
    ) -> Outcome:
        """Take the run as far as it goes now, and record where that is. `told`: see `Lines`.

        Raises:
            LeaseLost: the run belongs to another worker; nothing was recorded.
        """
        place.enter()
        began = time.monotonic()
        function = self.roster.functions[run.function_id]
        suspension = Suspension(self.journal, _cancel_current_task())
        lines = Lines(run.id, run.function_id, run.failures, told)
        if (error := _uncallable(run, events)) is not None:
            ended: Outcome = _failed(run, error)
        else:
            at = self.sources(source_of(events))
            steps = LiveSteps(
                run.id,
                function.retries,
                events[0],
                memos,
                self.journal,
                suspension,
                lines,
                StepDatabase(at.db, self.worker_id, at.has_state),
                place,
                run.claimed_at,
                run.function_id,
                self.keeps_content,
                drop_after_each_step=self.drop_after_each_step,
                claims=run.claims,
                reread=self.rereading.memos,
            )
            ended = await self._call(run, function, self._context(run, events, steps, at), suspension)
        suspension.close()
        run = _further(run, suspension)
        kinds = {memo.kind for memo in memos.values()}
        awaited = "cancel_on" in function.flow or not kinds.isdisjoint(("wait", "infer"))
        asked = suspension.asked or not kinds.isdisjoint(("wrap", "infer"))
        forgets, defers = asked and not self.keeps_content, suspension.defers or DEFER in kinds
        ending = _Ending(run, events, lines, awaited, forgets, defers, time.monotonic() - began)
        ended = await self._recorded(ending, ended, suspension)
        if isinstance(ended, Completed):
            place.ended(function, events, "completed")
        elif isinstance(ended, Failed):
            place.ended(function, events, "failed", loads(ended.error)["name"])
        return ended

    def _context(self, run: ClaimedRun, events: Sequence[Event], steps: LiveSteps, at: AtSource) -> Context:
        return Context(
            run_id=run.id,
            attempt=run.failures + 1,
            events=events,
            step=steps,
            db=at.db,
            embeddings=at.embeddings,
            source=named(self.sources),
            logger=steps.lines.logger,
        )

    async def _call(self, run: ClaimedRun, function: Function, context: Context, suspension: Suspension) -> Outcome:
        try:
            function.check(context.events)
            output = await function.handler(context)
            if suspension.suspended:
                return Suspended(*suspension.until)
            return Completed(memo.dump("what the handler returned", output))
        except RunLost:
            raise LeaseLost("This worker's lease is gone; the run belongs to another worker now.") from None
        except BaseException as error:
            if suspension.suspended:  # and whatever comes of being suspended is no failure
                _uncancel()
                return Suspended(*suspension.until)
            if _is_final(error):
                return _failed(run, error)
            if not is_failure(error):
                raise
            return _retry(_further(run, suspension), function, error, self.journal.clock.now)

    async def _recorded(self, ending: _Ending, ended: Outcome, suspension: Suspension) -> Outcome:
        faults.point("run.ended")
        try:
            await suspension.flushed()
            entry = suspension.take_unwritten()
            awaited = ending.awaited or suspension.awaits
            entry.run = outcome.record(ending.run, ended, awaited=awaited, took=ending.took)
            if lines := ending.lines.take():
                entry.logs = [*entry.logs, *lines]
            is_moved = await self._write(entry, ending, ended)
        except RecordRefused as refused:
            ended = _failed(ending.run, refused)
            refusal = outcome.record(ending.run, ended, awaited=True, took=ending.took)
            is_moved = await self._write(Entry(run=refusal), ending, ended)
        if is_moved:
            counting.left(ending.run, ended, self.journal.clock.now(), suspension.retried)
        return ended

    async def _write(self, entry: Entry, ending: _Ending, ended: Outcome) -> bool:
        entry.events = ending.told(FAILED, ended) if isinstance(ended, Failed) else []
        if isinstance(ended, Failed | Completed):
            entry.finished = partial(ending.told, FINISHED, ended)
            entry.forgets, entry.defers = ending.forgets, ending.defers
        return await self.journal.write(entry)


class _Ending(NamedTuple):
    """A run whose execution has ended, for now or for good."""

    run: ClaimedRun
    events: Sequence[Event]
    lines: Lines
    awaited: bool
    forgets: bool
    defers: bool
    took: float

    def told(self, name: str, ended: Outcome) -> list[Incoming]:
        """The event that tells of the run's end."""
        tell = partial(lifecycle, name, self.run.id, self.run.function_id, [event.as_dict() for event in self.events])
        match ended:
            case Completed(output):
                return tell("Completed", result=loads(output))
            case Failed(error):
                return tell("Failed", error=loads(error))
        return []


def _uncallable(run: ClaimedRun, events: Sequence[Event]) -> Exception | None:
    """Why a handler must not even be called."""
    if run.rescues >= QUARANTINE:
        return NonRetriableError("quarantined: worker processes died again and again while they executed this run")
    if len(events) < len(run.event_ids):
        return NonRetriableError("the run's event is gone from cdc_state.events")
    return None


def _further(run: ClaimedRun, suspension: Suspension) -> ClaimedRun:
    """Its attempts count from the first again when it came further."""
    return run._replace(failures=0) if suspension.came_further else run


def _is_final(error: BaseException) -> bool:
    """Whether no retry of the handler would help; several branches of a task group may say so together."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_final, error.exceptions))
    return isinstance(error, NonRetriableError | StepError | EventUnfit)


def _retry(run: ClaimedRun, function: Function, error: BaseException, now: Callable[[], float]) -> Outcome:
    counts = not isinstance(error, RetryAfter) or error.counts_as_attempt
    if counts and run.failures >= function.retries:
        return _failed(run, error)
    try:
        due_in = backoff.delay_for(error, run.failures + 1, now)
    except ValueError as unusable:
        return _failed(run, unusable)
    log.warning("run is tried again", run=run.id, function=run.function_id, error=type(error).__name__, seconds=due_in)
    return Retry(memo.error_of(error).json, due_in, counts)


def _failed(run: ClaimedRun, error: BaseException) -> Failed:
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
