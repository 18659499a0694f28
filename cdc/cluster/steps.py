"""`cdc.Step` over the steps of Inngest's SDK."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import inngest
from inngest.experimental.ai.base import BaseAdapter
from pydantic import Field

from cdc.ai.infer import Models
from cdc.authoring.calling import call
from cdc.authoring.context import Database
from cdc.authoring.declared import typed
from cdc.authoring.event import Event
from cdc.authoring.function import Function
from cdc.authoring.options import condition
from cdc.authoring.step import DEFAULT_TIMEOUT
from cdc.authoring.triggers import is_taken
from cdc.clock import Duration, seconds
from cdc.cluster import failures
from cdc.cluster.ai_steps import ClusterAiSteps
from cdc.cluster.branches import Branches, Call, hashed, within
from cdc.cluster.requests import Called
from cdc.errors import NonRetriableError
from cdc.store.json import loads
from cdc.store.results import dump

SIGNAL = "signal/"
"""Begins the name of the event that carries a signal there: the SDK has no signals."""

inside: ContextVar[str] = ContextVar("inside", default="")
"""The step whose body is running, also in the threads and tasks that it makes."""


class _Sent(inngest.Event):
    """An event with the fields that the SDK's own has not."""

    user: Mapping[str, Any] = Field(default_factory=dict)
    v: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterSteps:
    """Implements `cdc.Step` for one call of the cluster. `app` is the id of ours there."""

    app: str
    functions: frozenset[str]
    run_id: str
    theirs: inngest.Step
    branches: Branches
    called: Called
    db: Database
    models: Models
    timeout: float | None = None
    _seen: Counter[str] = field(default_factory=Counter)

    # --- what a handler calls -----------------------------------------------------------------------------------

    async def run(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `cdc.Step.run`."""

        async def body(_: str) -> Any:
            return await call(fn, args, kwargs, self.timeout)

        return typed(await self.taken(id, body), fn)

    async def transaction(self, id: str, fn: Callable[..., Awaitable[Any]], /) -> Any:
        """See `cdc.Step.transaction`; what it writes is committed before the cluster records the step."""

        async def body(_: str) -> Any:
            async with self.db.connection() as conn, conn.transaction():
                return await call(fn, (conn,), {}, self.timeout)

        return typed(await self.taken(id, body), fn)

    @property
    def ai(self) -> ClusterAiSteps:
        """See `cdc.Step.ai`."""
        return ClusterAiSteps(self, self.models)

    def within(self, timeout: Duration, /) -> ClusterSteps:
        """See `cdc.Step.within`."""
        return replace(self, timeout=_seconds("within", timeout))

    async def sleep(self, id: str, duration: Duration, /) -> None:
        """See `cdc.Step.sleep`."""
        name, until = self.name(id), datetime.now(UTC) + timedelta(seconds=_seconds(id, duration))
        await self._asked(name, lambda: self.theirs.sleep_until(id, until))

    async def sleep_until(self, id: str, when: datetime, /) -> None:
        """See `cdc.Step.sleep_until`."""
        name = self.name(id)
        if when.tzinfo is None:
            raise NonRetriableError(f"step {id!r}: sleep_until needs a datetime with a time zone")
        await self._asked(name, lambda: self.theirs.sleep_until(id, when))

    async def send_event(self, id: str, events: Event | Sequence[Event], /) -> list[str]:
        """See `cdc.Step.send_event`; the events are accepted before the cluster records the step.

        An event without an id of its own gets the step's, so that one that is sent again counts once.
        """
        chosen = [events] if isinstance(events, Event) else list(events)
        for event in chosen:
            if is_taken(event.name):
                raise NonRetriableError(f"step {id!r}: {event.name!r} is not a name for an event of your own")
        return await self._sent(id, chosen)

    async def send_signal(self, id: str, signal: str, data: dict[str, Any] | None = None) -> None:
        """See `cdc.Step.send_signal`."""
        await self._sent(id, [Event(f"{SIGNAL}{signal}", data or {})])

    async def wait_for_event(
        self, id: str, event: str, timeout: Duration, *, if_exp: str | None = None, match: str | None = None
    ) -> Event | None:
        """See `cdc.Step.wait_for_event`."""
        name, limit = self.name(id), whole(_seconds(id, timeout))
        if "*" in event:
            raise NonRetriableError(f"step {id!r}: {event!r} is a pattern; name the event to wait for")
        try:
            expression = condition(if_exp, match)
        except ValueError as unusable:
            raise NonRetriableError(f"step {id!r}: {unusable}") from None
        text = expression.text if expression else None
        found = await self._asked(name, lambda: self.theirs.wait_for_event(id, event=event, if_exp=text, timeout=limit))
        return None if found is None else self.called.event(hashed(name), found)

    async def wait_for_signal(self, id: str, signal: str, timeout: Duration) -> Any:
        """See `cdc.Step.wait_for_signal`."""
        found = await self.wait_for_event(id, f"{SIGNAL}{signal}", timeout)
        return None if found is None else found.data

    async def invoke(
        self,
        id: str,
        function: Function | str,
        data: dict[str, Any] | None = None,
        timeout: Duration = DEFAULT_TIMEOUT,
    ) -> Any:
        """See `cdc.Step.invoke`; an id that none of our functions has is `<app>-<function>`."""
        name, limit = self.name(id), whole(_seconds(id, timeout))
        wanted = function if isinstance(function, str) else function.id
        app, _, rest = wanted.partition("-")
        if wanted in self.functions or not rest:
            app, rest = self.app, wanted
        return await self._asked(
            name,
            lambda: self.theirs.invoke_by_id(id, app_id=app, function_id=rest, data=data or {}, timeout=limit),
        )

    # --- one step -----------------------------------------------------------------------------------------------

    def name(self, id: str) -> str:
        """The author's id; a repeated one is numbered, in the order of the calls, as the SDK does it."""
        if outer := inside.get():
            raise NonRetriableError(
                f"step {id!r} is taken inside step {outer!r}; a step's body cannot take steps: call them one after "
                "the other in the handler"
            )
        self._seen[id] += 1
        count = self._seen[id] - 1
        return f"{id}:{count}" if count else id

    async def taken(self, id: str, body: Callable[[str], Coroutine[Any, Any, Any]]) -> Any:
        """The recorded result of a step, or what its `body`, which is given its name, returns: a JSON value."""
        name, context = self.name(id), copy_context()
        context.run(inside.set, name)

        async def result() -> Any:
            try:
                returned = await within(context, body(name))
                return loads(dump(f"the result of step {name!r}", returned))
            except Exception as error:  # noqa: BLE001 - an author's code may raise anything
                failures.raised_by_body(error, is_last=self.called.is_last)

        return await self._asked(name, lambda: self.theirs.run(id, result))

    async def inferred(self, id: str, adapter: BaseAdapter, request: dict[str, Any]) -> Any:
        """What a model answers to the cluster, which asks it: the provider's JSON."""
        return await self._asked(self.name(id), lambda: self.theirs.ai.infer(id, adapter=adapter, body=request))

    async def _sent(self, id: str, events: Sequence[Event]) -> list[str]:
        name = self.name(id)
        sent: list[inngest.Event] = [
            _Sent(
                name=event.name,
                data=event.data,
                id=event.id or f"{self.run_id}-{name}-{index}",
                ts=event.ts,
                user=event.user,
                v=event.v,
            )
            for index, event in enumerate(events)
        ]
        ids: list[str] = await self._asked(name, lambda: self.theirs.send_event(id, sent))
        return ids

    async def _asked(self, name: str, theirs: Call) -> Any:
        try:
            return await self.branches.take(name, theirs)
        except inngest.StepError as error:
            raise failures.of_step(name, error) from None


def whole(duration: float) -> timedelta:
    """A duration as the cluster takes it: whole seconds, one at least."""
    return timedelta(seconds=max(1, math.ceil(duration)))


def _seconds(id: str, duration: Duration) -> float:
    try:
        return seconds(duration)
    except ValueError as unusable:
        raise NonRetriableError(f"step {id!r}: {unusable}") from None
