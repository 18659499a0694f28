"""The steps of one live run: memoised ones return at once, the next one runs and is recorded before it returns."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal, NoReturn
from uuid import UUID

import structlog

from cdc import faults
from cdc.authoring.event import Event
from cdc.authoring.triggers import is_taken
from cdc.clock import Duration, seconds
from cdc.engine import backoff, memo
from cdc.engine.journal import Journal, RecordRefused
from cdc.errors import Interrupt, LeaseLost, NonRetriableError, RetryAfter, StepError
from cdc.events import ids
from cdc.store.events import Incoming
from cdc.store.journal import StepRecord
from cdc.store.runs import Memo

log = structlog.get_logger(__name__)


class RunSuspended(Interrupt):
    """A handler that is being suspended came back for another step."""


class RunLost(Interrupt):
    """The run belongs to another worker; this handler may do nothing more."""


class _Later(Interrupt):
    """This step is to be taken again in `due_in` seconds."""

    def __init__(self, due_in: float) -> None:
        super().__init__()
        self.due_in = due_in


class LiveSteps:
    """Implements `cdc.Step` for one run that is in memory.

    The run is suspended when nothing of it is busy and at least one step waits; `suspend` is called then, once.
    """

    def __init__(
        self,
        run_id: str,
        retries: int,
        memos: Mapping[str, Memo],
        journal: Journal,
        suspend: Callable[[], object],
        *,
        drop_after_each_step: bool = False,
    ) -> None:
        self._run_id = run_id
        self._retries = retries
        self._memos = memos
        self._journal = journal
        self._suspend = suspend
        self._drop_after_each_step = drop_after_each_step
        self._seen: dict[str, int] = {}
        self._busy = 0
        self._waiting: list[tuple[Literal["queued", "sleeping"], float]] = []
        self._unwritten: list[StepRecord] = []
        self.suspended = False

    # --- what a handler calls -----------------------------------------------------------------------------------

    async def run(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `cdc.Step.run`."""
        key = self._key(id)
        recorded = self._memos.get(key)
        if recorded is not None and recorded.ended:
            return _replayed(key, recorded, fn)
        try:
            with self._working():
                return await self._attempt(key, recorded.attempts if recorded else 0, fn, args, kwargs)
        except _Later as later:
            await self._wait("queued", later.due_in)

    async def send_event(self, id: str, events: Event | Sequence[Event], /) -> list[str]:
        """See `cdc.Step.send_event`."""
        key = self._key(id)
        recorded = self._memos.get(key)
        if recorded is not None and recorded.ended:
            return list(recorded.data)
        incoming = _incoming(self._run_id, key, [events] if isinstance(events, Event) else events)
        sent = [str(UUID(bytes=event.id)) for event in incoming]
        try:
            with self._working():
                await self._record(key, 1, 0.0, data=memo.dump("the ids of its events", sent), events=incoming)
                if self._drop_after_each_step:
                    raise _Later(0.0)
        except _Later as later:
            await self._wait("queued", later.due_in)
        return sent

    async def sleep(self, id: str, duration: Duration, /) -> None:
        """See `cdc.Step.sleep`."""
        await self._sleep(self._key(id), seconds(duration))

    async def sleep_until(self, id: str, when: datetime, /) -> None:
        """See `cdc.Step.sleep_until`."""
        if when.tzinfo is None:
            raise NonRetriableError(f"step {id!r}: sleep_until needs a datetime with a time zone")
        await self._sleep(self._key(id), max(0.0, when.timestamp() - time.time()), when)

    # --- what the executor asks ---------------------------------------------------------------------------------

    @property
    def wait(self) -> tuple[Literal["queued", "sleeping"], float]:
        """What the suspended run waits for: its status, and in how many seconds it is due."""
        return min(self._waiting, key=lambda waiting: waiting[1])

    @property
    def unwritten(self) -> list[StepRecord]:
        """Records that go into the same commit as the suspension."""
        return self._unwritten

    # --- one step -----------------------------------------------------------------------------------------------

    def _key(self, id: str) -> str:
        """The author's id; a repeated one is numbered, in the order of the calls."""
        if self.suspended:
            raise RunSuspended
        count = self._seen.get(id, 0)
        self._seen[id] = count + 1
        return f"{id}:{count}" if count else id

    async def _attempt(
        self, key: str, attempts: int, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if not self._journal.leased:
            raise RunLost
        began = time.monotonic()
        try:
            document = memo.dump(f"the result of step {key!r}", await _call(fn, args, kwargs))
            faults.point("step.ran")
        except Exception as error:  # noqa: BLE001 - whatever an author's code raises is the step's failure
            return await self._failed(key, attempts + _counts(error), error, time.monotonic() - began)
        await self._record(key, attempts + 1, time.monotonic() - began, data=document)
        if self._drop_after_each_step:
            raise _Later(0.0)
        return memo.load(document, fn)

    async def _failed(self, key: str, attempt: int, error: Exception, took: float) -> NoReturn:
        stored = memo.error_of(error)
        if isinstance(error, NonRetriableError) or attempt > self._retries:
            await self._record(key, attempt, took, error=stored.json)
            raise StepError(key, stored.name, stored.message) from error
        self._unwritten.append(StepRecord(self._run_id, key, attempts=attempt, error=stored.json, took=took))
        due_in = backoff.delay_for(error, attempt)
        log.warning("step is tried again", run=self._run_id, step=key, error=stored.name, seconds=due_in)
        raise _Later(due_in)

    async def _sleep(self, key: str, due_in: float, wake_at: datetime | None = None) -> None:
        recorded = self._memos.get(key)
        if recorded is None:
            self._unwritten.append(StepRecord(self._run_id, key, "sleep", wake_at=wake_at, wake_in=due_in))
            await self._wait("sleeping", due_in)
        elif recorded.due_in is not None and recorded.due_in > 0:
            await self._wait("sleeping", recorded.due_in)

    async def _wait(self, status: Literal["queued", "sleeping"], due_in: float) -> NoReturn:
        """Wait in the database, not in memory: this await never ends, the run is suspended under it."""
        self._waiting.append((status, due_in))
        self._settle()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("a waiting step is never resumed in memory")

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self._settle()

    def _settle(self) -> None:
        """Suspend when every branch waits; a branch whose step just ended first gets its turn to go on."""
        if not self._busy and self._waiting and not self.suspended:
            asyncio.get_running_loop().call_soon(self._suspend_if_settled, 2)

    def _suspend_if_settled(self, turns: int) -> None:
        if self._busy or self.suspended:
            return
        if turns:
            asyncio.get_running_loop().call_soon(self._suspend_if_settled, turns - 1)
        else:
            self.suspended = True
            self._suspend()

    # --- records ------------------------------------------------------------------------------------------------

    async def _record(
        self,
        key: str,
        attempts: int,
        took: float,
        *,
        data: str | None = None,
        error: str | None = None,
        events: Sequence[Incoming] = (),
    ) -> None:
        record = StepRecord(self._run_id, key, attempts=attempts, data=data, error=error, took=took, ended=True)
        try:
            await self._journal.write([record], events=events)
        except RecordRefused as refused:
            raise NonRetriableError(f"the result of step {key!r} cannot be stored: {refused}") from None
        except LeaseLost:
            raise RunLost from None


def _incoming(run_id: str, key: str, events: Sequence[Event]) -> list[Incoming]:
    """Events on their way in; their ids are the same whenever this step is taken again."""
    for event in events:
        if is_taken(event.name):
            raise NonRetriableError(f"step {key!r}: {event.name!r} is not a name for an event of your own")
    now = time.time_ns() // 1000
    documents = [memo.dump(f"the data of {event.name}", event.data).encode() for event in events]
    return [
        Incoming(ids.of_step(run_id, key, index), event.name, now, document, None)
        for index, (event, document) in enumerate(zip(events, documents, strict=True))
    ]


def _replayed(key: str, recorded: Memo, fn: Callable[..., Any]) -> Any:
    if recorded.error is not None:
        raise StepError(key, recorded.error["name"], recorded.error["message"])
    return memo.typed(recorded.data, fn)


def _counts(error: Exception) -> int:
    return int(error.counts_as_attempt) if isinstance(error, RetryAfter) else 1


async def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A coroutine function runs here, a plain one in a thread, where it may block."""
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    result = await asyncio.to_thread(fn, *args, **kwargs)
    if isinstance(result, Coroutine):
        return await result
    return result
