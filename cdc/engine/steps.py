"""The steps of one live run: memoised ones return at once, the next one runs and is recorded before it returns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

import structlog

from cdc import faults
from cdc.authoring.event import Event
from cdc.authoring.function import Function
from cdc.authoring.step import DEFAULT_TIMEOUT
from cdc.authoring.triggers import SIGNAL
from cdc.clock import Duration, seconds
from cdc.engine import backoff, inputs, memo, sending, waiting
from cdc.engine.ai_steps import Aside, LiveAiSteps
from cdc.engine.bodies import StepDatabase, call, inside
from cdc.engine.elsewhere import Elsewhere
from cdc.engine.journal import Entry, Journal, RecordRefused
from cdc.engine.lines import Lines
from cdc.engine.outcome import after_others
from cdc.engine.suspension import Suspension, Until
from cdc.engine.whereabouts import Whereabouts
from cdc.errors import Interrupt, LeaseLost, NonRetriableError, RetryAfter, StepError
from cdc.events.outbox import Invocation
from cdc.store.events import Incoming
from cdc.store.inferences import Beside
from cdc.store.journal import StepRecord
from cdc.store.json import loads
from cdc.store.runs import Memo

log = structlog.get_logger(__name__)

_KINDS = {
    "run": "a body that runs, or events that are sent",
    "sleep": "a sleep",
    "wait": "a wait",
    "invoke": "an invocation",
    "wrap": "a wrapped call of a model",
    "infer": "an inference",
    "fetch": "a request",
    "defer": "a run that was deferred",
    "abort": "a deferred run that was taken back",
}


Telling = Callable[["Taken", BaseException, float], Aside | None]
"""What is known of a failed attempt that took so many seconds."""


async def _nothing_new(run_id: str) -> Mapping[str, Memo]:
    return {}


class RunSuspended(Interrupt):
    """A handler that is being suspended came back for another step."""


class RunLost(Interrupt):
    """The run belongs to another worker; this handler may do nothing more."""


class _Later(Interrupt):
    """This step is to be taken again in `due_in` seconds."""

    def __init__(self, due_in: float) -> None:
        super().__init__()
        self.due_in = due_in


@dataclass(slots=True, eq=False)
class LiveSteps:
    """Implements `cdc.Step` for one run that is in memory; `event` is the run's own."""

    run_id: str
    retries: int
    event: Event
    memos: Mapping[str, Memo]
    journal: Journal
    suspension: Suspension
    lines: Lines
    database: StepDatabase
    place: Whereabouts
    claimed_at: float = 0.0
    function_id: str = ""
    keeps_content: bool = True
    drop_after_each_step: bool = False
    claims: int = 0
    reread: Callable[[str], Awaitable[Mapping[str, Memo]]] = field(default=_nothing_new)
    timeout: float | None = None
    _seen: dict[str, int] = field(default_factory=dict)

    # --- what a handler calls -----------------------------------------------------------------------------------

    async def run(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `cdc.Step.run`."""

        async def body(step: Taken) -> str:
            began = time.monotonic()
            result = await call(fn, *step.arguments(args, kwargs), self.timeout)
            document = memo.dump(f"the result of step {step.key!r}", result)
            faults.point("step.ran")
            await self.record(step.good(self.run_id, document, began))
            return document

        return await self.memoised(id, body, partial(memo.typed, fn=fn), given=partial(inputs.of_call, args, kwargs))

    async def transaction(self, id: str, fn: Callable[..., Awaitable[Any]], /) -> Any:
        """See `cdc.Step.transaction`."""

        async def body(step: Taken) -> str:
            began = time.monotonic()
            async with self.database.transaction() as (conn, record):
                result = await call(fn, (conn,), {}, self.timeout)
                document = memo.dump(f"the result of step {step.key!r}", result)
                await record(step.good(self.run_id, document, began))
            return document

        return await self.memoised(id, body, partial(memo.typed, fn=fn))

    @property
    def ai(self) -> LiveAiSteps:
        """See `cdc.Step.ai`."""
        return LiveAiSteps(self)

    @property
    def elsewhere(self) -> Elsewhere:
        """For functions of apps."""
        return Elsewhere(self)

    def within(self, timeout: Duration, /) -> LiveSteps:
        """See `cdc.Step.within`."""
        return replace(self, timeout=_seconds("within", timeout))

    async def sleep(self, id: str, duration: Duration, /) -> None:
        """See `cdc.Step.sleep`."""
        key, due_in = self._key(id), _seconds(id, duration)
        await self._slept(StepRecord(self.run_id, key, "sleep", wake_in=due_in), due_in)

    async def sleep_until(self, id: str, when: datetime, /) -> None:
        """See `cdc.Step.sleep_until`."""
        key = self._key(id)
        if when.tzinfo is None:
            raise NonRetriableError(f"step {id!r}: sleep_until needs a datetime with a time zone")
        due_in = max(0.0, when.timestamp() - self.journal.clock.now())
        await self._slept(StepRecord(self.run_id, key, "sleep", wake_at=when, wake_in=due_in), due_in)

    async def send_event(self, id: str, events: Event | Sequence[Event], /) -> list[str]:
        """See `cdc.Step.send_event`."""
        key, edit = self._edited(id)
        chosen = [events] if isinstance(events, Event) else events
        chosen = chosen if edit is None else inputs.changed_events(key, edit)
        return await self._sent(
            key, partial(sending.incoming, self.run_id, key, chosen), partial(inputs.of_events, chosen)
        )

    async def send_signal(self, id: str, signal: str, data: dict[str, Any] | None = None) -> None:
        """See `cdc.Step.send_signal`."""
        key, edit = self._edited(id)
        given = (data or {}) if edit is None else inputs.checked(key, edit, dict, "a JSON object: the signal's data")
        await self._sent(key, partial(sending.signal, self.run_id, key, signal, given), partial(inputs.of_data, given))

    async def wait_for_event(
        self, id: str, event: str, timeout: Duration, *, if_exp: str | None = None, match: str | None = None
    ) -> Event | None:
        """See `cdc.Step.wait_for_event`."""
        key = self._key(id)
        found = await self._awaited(key, event, timeout, waiting.checked(key, event, if_exp, match))
        return None if found is None else Event(**found)

    async def wait_for_signal(self, id: str, signal: str, timeout: Duration) -> Any:
        """See `cdc.Step.wait_for_signal`."""
        found = await self._awaited(self._key(id), f"{SIGNAL}{signal}", timeout, None)
        return None if found is None else found["data"]

    async def invoke(
        self,
        id: str,
        function: Function | str,
        data: dict[str, Any] | None = None,
        timeout: Duration = DEFAULT_TIMEOUT,
    ) -> Any:
        """See `cdc.Step.invoke`."""
        key, due_in = self._key(id), _seconds(id, timeout)
        recorded = self._recorded(key, "invoke")
        if recorded is not None and recorded.ended:
            return memo.result(key, recorded)
        if recorded is None or recorded.edit is not None:
            given = data or {}
            if recorded is not None:
                given = inputs.checked(key, recorded.edit, dict, "a JSON object: the data of the run that it invokes")
            function_id = function if isinstance(function, str) else function.id
            event = sending.invocation(self.run_id, key, given, self.place.traceparent(key))
            record = StepRecord(
                self.run_id, key, "invoke", wake_in=due_in, input=inputs.of_data(given) if self.keeps_content else None
            )
            self.suspension.unwritten.steps.append(record)
            self.suspension.unwritten.invocations.append(Invocation(function_id, event, (self.run_id, key)))
        left = None if recorded is None else recorded.due_in
        return await self.wait(Until("waiting", due_in if left is None else left))

    # --- one step -----------------------------------------------------------------------------------------------

    def _key(self, id: str) -> str:
        """The author's id; a repeated one is numbered, in the order of the calls."""
        if self.suspension.suspended:
            raise RunSuspended
        if (outer := inside.get()) is not None:
            raise NonRetriableError(
                f"step {id!r} is taken inside step {outer.key!r}; a step's body cannot take steps: call them one after "
                "the other in the handler"
            )
        count = self._seen.get(id, 0)
        self._seen[id] = count + 1
        key = f"{id}:{count}" if count else id
        self.lines.passed(key)
        return key

    def begun(self, id: str, kind: str) -> tuple[str, Memo | None]:
        """The key of a step that the handler came to, and what is recorded of it."""
        key = self._key(id)
        return key, self._recorded(key, kind)

    def _edited(self, id: str) -> tuple[str, Any]:
        """The key of a step that the handler came to, and the input that it takes in place of its code's, if any."""
        key = self._key(id)
        recorded = self.memos.get(key)
        return key, None if recorded is None or recorded.ended else recorded.edit

    def _recorded(self, key: str, kind: str) -> Memo | None:
        """What is recorded of a step.

        Raises:
            NonRetriableError: a step of another kind is recorded under this id.
        """
        recorded = self.memos.get(key)
        if recorded is not None and recorded.kind != kind:
            raise NonRetriableError(
                f"step {key!r} is recorded as {_KINDS[recorded.kind]} and is now {_KINDS[kind]}; "
                "give the changed step an id of its own"
            )
        return recorded

    async def memoised(
        self,
        id: str,
        body: Callable[[Taken], Awaitable[str]],
        load: Callable[[Any], Any],
        *,
        kind: str = "run",
        failed: Telling | None = None,
        given: Callable[[], str | None] = lambda: None,
    ) -> Any:
        """The recorded result of a step, or that of its `body`, which records it; `load` makes of its JSON value what
        the handler sees. `failed` tells of a failed attempt besides its error, `given` of the input to be kept.
        """
        key = self._key(id)
        recorded = self._recorded(key, kind)
        if recorded is not None and recorded.ended:
            return load(memo.result(key, recorded))
        if recorded is not None and recorded.due_in is not None and recorded.due_in > 0:
            await self.wait(Until("queued", recorded.due_in))
        if recorded is None:
            step = Taken(key, kind, 0, failed, given() if self.keeps_content else None)
        else:
            step = Taken(key, kind, recorded.attempts, failed, None, recorded.edit)
        try:
            with self.suspension:
                return load(loads(await self._attempt(step, body)))
        except _Later as later:
            await self.wait(Until("queued", later.due_in))

    async def _attempt(self, step: Taken, body: Callable[[Taken], Awaitable[str]]) -> str:
        if not self.journal.leased:
            raise RunLost
        began = time.monotonic()
        outer = inside.set(step)
        span = self.place.span(step.key, step.kind, step.attempt)
        try:
            with span:
                document = await body(step)
        except LeaseLost:
            raise RunLost from None
        except BaseException as error:
            if not is_failure(error):
                raise
            span.failed(error)
            return await self._failed(step, error, time.monotonic() - began)
        finally:
            inside.reset(outer)
        if self.drop_after_each_step:
            raise _Later(0.0)
        return document

    async def _failed(self, step: Taken, error: BaseException, took: float) -> NoReturn:
        key, attempt, due_in = step.key, step.attempts + _counts(error), None
        aside = step.failed(step, error, took) if step.failed else None
        beside = [aside.beside] if aside else []
        if not isinstance(error, NonRetriableError) and attempt <= self.retries:
            try:
                due_in = backoff.delay_for(error, attempt, self.journal.clock.now)
                due_in = max(due_in, aside.pause or 0.0) if aside else due_in
            except ValueError as unusable:
                error = unusable
        stored = memo.error_of(error)
        record = StepRecord(
            self.run_id, key, step.kind, attempt, error=stored.json, took=took, input=step.input, kept=step.attempt
        )
        if due_in is None:
            await self.record(record._replace(ended=True), beside=beside)
            raise StepError(key, stored.name, stored.message) from error
        self.suspension.unwritten.steps.append(record._replace(wake_in=due_in))
        self.suspension.unwritten.beside.extend(beside)
        self.suspension.retried += 1
        log.warning("step is tried again", run=self.run_id, step=key, error=stored.name, seconds=due_in)
        raise _Later(due_in)

    async def _slept(self, record: StepRecord, due_in: float) -> None:
        recorded = self._recorded(record.id, "sleep")
        if recorded is None:
            self.suspension.unwritten.steps.append(record)
            await self.wait(Until("sleeping", due_in))
        elif recorded.due_in is not None and recorded.due_in > 0:
            await self.wait(Until("sleeping", recorded.due_in))

    async def _sent(
        self, key: str, events: Callable[[str | None], Sequence[Incoming]], given: Callable[[], str | None]
    ) -> list[str]:
        """Send these `events`, which are in the trace that they are given."""
        recorded = self._recorded(key, "run")
        if recorded is not None and recorded.ended:
            return list(memo.result(key, recorded))
        told = given() if self.keeps_content else None
        try:
            with self.suspension:
                with self.place.span(key, "send", 1):
                    incoming = events(self.place.traceparent(key))
                    sent = [str(UUID(bytes=event.id)) for event in incoming]
                    document = memo.dump("the ids of its events", sent)
                    record = StepRecord(self.run_id, key, attempts=1, data=document, ended=True, input=told)
                    await self.record(record, incoming)
                if self.drop_after_each_step:
                    raise _Later(0.0)
        except _Later as later:
            await self.wait(Until("queued", later.due_in))
        return sent

    async def _awaited(
        self, key: str, event: str, timeout: Duration, expression: waiting.Expression | None
    ) -> dict[str, Any] | None:
        """The event that came, as a dict; None when the time was over first."""
        recorded, due_in = self._recorded(key, "wait"), _seconds(key, timeout)
        if recorded is None:
            unwritten = self.suspension.unwritten
            wait = waiting.record(self.run_id, key, event, due_in, expression, self.event)
            told = waiting.told(event, expression)
            unwritten.steps.append(StepRecord(self.run_id, key, "wait", wake_in=due_in, input=told))
            since = unwritten.made_at - time.monotonic()
            unwritten.waits.append(wait._replace(since=since, claimed_at=self.claimed_at))
        elif recorded.ended:
            found: dict[str, Any] | None = memo.result(key, recorded)
            return found
        return await self.wait(Until("waiting", due_in if recorded is None else recorded.due_in or 0.0))

    async def wait(self, until: Until) -> NoReturn:
        """Wait in the database, with what the other branches of the run wait for."""
        self.suspension.unwritten.logs.extend(self.lines.take())
        await self.suspension.wait(until)

    async def record(self, record: StepRecord, events: Sequence[Incoming] = (), beside: Sequence[Beside] = ()) -> None:
        """Record a step, with the events that it sends and what is kept beside it; durable on return."""
        entry = Entry([record], events=events, logs=self.lines.take(), beside=beside)
        await self.write(f"the result of step {record.id!r}", entry)

    async def write(self, what: str, entry: Entry) -> None:
        """Write an entry, which is `what`, as people are told; durable on return."""
        try:
            await self.journal.write(entry)
        except RecordRefused as refused:
            raise NonRetriableError(f"{what} cannot be stored: {refused}") from None
        except LeaseLost:
            raise RunLost from None


class Taken(NamedTuple):
    """A step whose body runs, after so many attempts. `input` is JSON; `edit` takes the place of its code's."""

    key: str
    kind: str
    attempts: int
    failed: Telling | None = None
    input: str | None = None
    edit: Any = None

    @property
    def attempt(self) -> int:
        """This one, from 1."""
        return self.attempts + 1

    @property
    def kept(self) -> int:
        """Its number where it is kept when it succeeds."""
        return after_others(self.attempt)

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inputs.Arguments:
        """What its function is called with, where its code says this.

        Raises:
            NonRetriableError: an edited input cannot be used.
        """
        return (args, kwargs) if self.edit is None else inputs.changed_call(self.key, self.edit, args, kwargs)

    def good(self, run_id: str, document: str, began: float) -> StepRecord:
        """What is recorded of its result. In the order of the fields: it is part of every step."""
        attempt, took = self.attempts + 1, time.monotonic() - began
        kept = after_others(attempt) if self.attempts else 0
        return StepRecord(
            run_id, self.key, self.kind, attempt, document, None, None, None, took, True, self.input, kept
        )


def is_failure(error: BaseException) -> bool:
    """Whether this is a failure of an author's code; a cancellation is one where nobody cancelled the task it is in."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and not task.cancelling()
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_failure, error.exceptions))
    return isinstance(error, Exception | SystemExit)


def _counts(error: BaseException) -> int:
    return int(error.counts_as_attempt) if isinstance(error, RetryAfter) else 1


def _seconds(id: str, duration: Duration) -> float:
    try:
        return seconds(duration)
    except ValueError as unusable:
        raise NonRetriableError(f"step {id!r}: {unusable}") from None
