"""`@function`: describes a durable function and registers nothing; discovery collects."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

from pydantic import BaseModel, ValidationError

from cdc.authoring import triggers
from cdc.authoring.context import Context
from cdc.authoring.event import Event
from cdc.authoring.expressions import Expression
from cdc.authoring.options import (
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
    checked_retries,
)
from cdc.authoring.triggers import EventTrigger, Trigger
from cdc.errors import EventUnfit

Handler = Callable[[Context], Awaitable[Any]]

FAILED = "inngest/function.failed"
"""The event of a run that failed; what `on_failure` listens to."""


class FlowControl(TypedDict, total=False):
    """When an event's run may start, and what becomes of it meanwhile (docs/flow-control.md).

    concurrency: how many runs execute at once: a number, or up to two limits with keys.
    order_by: a key (CEL); its runs go one after the other in the order of their events, each to its end.
    throttle, rate_limit, debounce, singleton: see there.
    batch_events: take several events in one run, in `ctx.events`.
    priority: seconds (CEL, -600 to 600) by which a run goes before others that wait.
    idempotency: a key (CEL); a second event with the same one starts nothing for 24 hours.
    cancel_on: events that cancel a run.
    timeouts: after which a run is cancelled.
    """

    concurrency: int | Concurrency | Sequence[Concurrency]
    order_by: str
    throttle: Throttle
    rate_limit: RateLimit
    debounce: Debounce
    batch_events: Batch
    priority: str
    singleton: Singleton
    idempotency: str
    cancel_on: Cancel | Sequence[Cancel]
    timeouts: Timeouts


@dataclass(frozen=True, slots=True)
class Function:
    """A function's definition and its handler."""

    id: str
    triggers: tuple[Trigger, ...]
    handler: Handler
    name: str
    retries: int = 3
    flow: FlowControl = field(default_factory=FlowControl, hash=False)
    on_failure: Handler | None = None

    def definition(self) -> dict[str, Any]:
        """Everything but the handlers, as it is stored in the registry."""
        return {
            "id": self.id,
            "name": self.name,
            "triggers": [triggers.to_json(trigger) for trigger in self.triggers],
            "retries": self.retries,
            "flow": {name: _stored(option) for name, option in self.flow.items()},
        }

    def check(self, events: Sequence[Event]) -> None:
        """Check events against the models that the triggers declare.

        Raises:
            EventUnfit: one does not fit; says which fields, and not what is in them.
        """
        typed = [trigger for trigger in self.triggers if isinstance(trigger, EventTrigger) and trigger.model]
        for event in events if typed else ():
            for trigger in typed:
                if trigger.model and trigger.event in (event.name, *triggers.patterns_of(event.name)):
                    _fit(event, trigger.model)

    def with_failure(self) -> tuple[Function, ...]:
        """This function, and the one that its `on_failure` is."""
        if self.on_failure is None:
            return (self,)
        failed = EventTrigger(FAILED, match={"data.function_id": self.id})
        return self, Function(f"{self.id}-failure", (failed,), self.on_failure, f"{self.name} (failure)", self.retries)


def function(
    id: str,
    *,
    on: str | Trigger | Iterable[str | Trigger],
    columns: Sequence[str] | None = None,
    name: str | None = None,
    retries: int = 3,
    on_failure: Handler | None = None,
    **flow: Unpack[FlowControl],
) -> Callable[[Handler], Function]:
    """Make a durable function of a coroutine function that takes a `Context`.

    Args:
        id: names the function for ever; runs in flight find their handler by it.
        on: an event name such as `db/users.inserted`, a trigger, or several.
        columns: an update starts it only if it changed one of these; short for `EventTrigger(..., columns=...)`.
        name: shown to people; the id when not given.
        retries: how often a failing step or handler is tried again, 0 to 20.
        on_failure: called with `inngest/function.failed` when a run has failed for good.
        **flow: flow control, see `FlowControl`.

    Raises:
        ValueError: id, trigger or option is not usable.
        TypeError: a handler is not a coroutine function.
    """
    if not id or id != id.strip():
        raise ValueError(f"a function's id must not be empty or padded: {id!r}")
    parsed = triggers.parse_triggers(on)
    if columns is not None:
        parsed = triggers.narrowed(parsed, columns)
    checked_retries(retries)
    checked = checked_flow(flow)

    def describe(handler: Handler) -> Function:
        for given in (handler, on_failure):
            if given is not None and not inspect.iscoroutinefunction(given):
                raise TypeError(f"function {id!r}: the handler must be written with 'async def'")
        return Function(id, parsed, handler, name or id, retries, checked, on_failure)

    return describe


def _fit(event: Event, model: type[BaseModel]) -> None:
    try:
        event.typed(model)
    except ValidationError as invalid:
        places = ", ".join(
            f"{'.'.join(map(str, error['loc'])) or 'the data'} ({error['msg']})"
            for error in invalid.errors(include_input=False, include_url=False)
        )
        raise EventUnfit(f"{event.name} does not fit {model.__name__}: {places}") from None


_TOGETHER = {
    "order_by": ("batch_events", "debounce", "priority"),
    "batch_events": ("debounce", "singleton", "rate_limit", "idempotency", "cancel_on", "priority"),
    "idempotency": ("rate_limit",),
}
"""What cannot be asked of one function: the one would break what the other promises."""


def checked_flow(flow: FlowControl) -> FlowControl:
    """The options, those that may be written in short in full.

    Raises:
        ValueError, TypeError: one is not usable, or not beside another.
    """
    unknown = flow.keys() - FlowControl.__annotations__.keys()
    if unknown:
        raise TypeError(f"function() has no option {min(unknown)!r}")
    checked: FlowControl = {**flow}
    if "concurrency" in flow:
        checked["concurrency"] = _limits(flow["concurrency"])
    if "cancel_on" in flow:
        cancels = flow["cancel_on"]
        checked["cancel_on"] = (cancels,) if isinstance(cancels, Cancel) else tuple(cancels)
    for text in (flow.get("order_by"), flow.get("priority"), flow.get("idempotency")):
        if text is not None:
            Expression.compile(text)
    for name, others in _TOGETHER.items():
        for other in others:
            if name in flow and other in flow:
                raise ValueError(f"{name} and {other} cannot be combined")
    return checked


def _limits(given: int | Concurrency | Sequence[Concurrency]) -> tuple[Concurrency, ...]:
    if isinstance(given, int):
        return (Concurrency(given),)
    limits = (given,) if isinstance(given, Concurrency) else tuple(given)
    if not 1 <= len(limits) <= 2:
        raise ValueError(f"concurrency: one or two limits, not {len(limits)}")
    return limits


def _stored(option: Any) -> Any:
    if isinstance(option, tuple):
        return [_stored(part) for part in option]
    return option if isinstance(option, str) else option.to_json()
