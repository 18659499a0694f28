"""A function's definition in the words of Inngest's SDK, and what cannot be said in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import inngest

from cdc.authoring.cron import Cron
from cdc.authoring.function import FAILED, FlowControl, Function
from cdc.authoring.options import Batch, Cancel, Concurrency, condition
from cdc.authoring.triggers import EventTrigger, condition_of
from cdc.clock import Duration, seconds
from cdc.cluster.steps import whole

LONGEST_BATCH = 60.0
"""Seconds that a cluster lets a batch fill."""

MOST_TRIGGERS, MOST_CANCELS = 10, 5


@dataclass(frozen=True, slots=True)
class Config:
    """What `Inngest.create_function` is called with. `notes`: what is not as it is here; `lacks`: what is not there."""

    arguments: Mapping[str, Any]
    notes: Sequence[str] = field(default_factory=list)
    lacks: Sequence[str] = field(default_factory=list)


def leftover(function: Function) -> str | None:
    """Why a function stays with the service that listens; None when a cluster can run it."""
    if any(isinstance(trigger, EventTrigger | Cron) for trigger in function.triggers):
        return None
    return "it follows the tables with declared embeddings, which only the service that listens knows"


def config_of(function: Function, app: str) -> Config:
    """The SDK's words for a function of the app."""
    flow, notes, lacks = function.flow, list[str](), list[str]()
    triggers = list(_triggers(function, app))
    if len(triggers) > MOST_TRIGGERS:
        lacks.append(f"it has {len(triggers)} triggers, and a cluster knows {MOST_TRIGGERS}")
    if any(isinstance(trigger, EventTrigger) and trigger.columns for trigger in function.triggers):
        notes.append("columns: every update starts a run there, which ends at once unless one of them has changed")
    if "order_by" in flow:
        lacks.append(
            "a cluster has no order_by; concurrency 1 with its key is the nearest, which keeps neither the order of "
            "events nor a run that sleeps or waits before the next"
        )
    arguments = {
        "fn_id": function.id,
        "name": function.name,
        "retries": function.retries,
        "trigger": triggers,
        **dict(_limits(flow, notes)),
        **dict(_gathering(flow, notes)),
    }
    if cancels := _cancels(flow, notes):
        arguments["cancel"] = cancels
        if len(cancels) > MOST_CANCELS:
            lacks.append(f"it has {len(cancels)} events in cancel_on, and a cluster knows {MOST_CANCELS}")
    return Config(arguments, notes, lacks)


def _triggers(function: Function, app: str) -> Iterator[inngest.TriggerEvent | inngest.TriggerCron]:
    for trigger in function.triggers:
        if isinstance(trigger, Cron):
            yield inngest.TriggerCron(cron=str(trigger))
        elif isinstance(trigger, EventTrigger):
            match = dict(trigger.match)
            if trigger.event == FAILED and "data.function_id" in match:
                match["data.function_id"] = f"{app}-{match['data.function_id']}"
            expression = condition_of(trigger.if_exp, match)
            yield inngest.TriggerEvent(event=trigger.event, expression=expression.text if expression else None)


def _limits(flow: FlowControl, notes: list[str]) -> Iterator[tuple[str, Any]]:
    limits = flow.get("concurrency", ())
    assert isinstance(limits, Sequence), "checked when the function was written"
    ordered = [Concurrency(1, flow["order_by"])] if "order_by" in flow else []
    if concurrency := [*ordered, *limits][:2]:
        yield (
            "concurrency",
            [inngest.Concurrency(limit=each.limit, key=each.key, scope=each.scope) for each in concurrency],
        )
    if throttle := flow.get("throttle"):
        period = _whole("throttle", throttle.period, notes)
        yield (
            "throttle",
            inngest.Throttle(limit=throttle.limit, period=period, burst=throttle.burst, key=throttle.key),
        )
    if rate := flow.get("rate_limit"):
        period = _whole("rate_limit", rate.period, notes)
        yield "rate_limit", inngest.RateLimit(limit=rate.limit, period=period, key=rate.key)
    if singleton := flow.get("singleton"):
        yield "singleton", inngest.Singleton(mode=singleton.mode, key=singleton.key)
    if priority := flow.get("priority"):
        yield "priority", inngest.Priority(run=priority)
    if idempotency := flow.get("idempotency"):
        yield "idempotency", idempotency


def _gathering(flow: FlowControl, notes: list[str]) -> Iterator[tuple[str, Any]]:
    if debounce := flow.get("debounce"):
        yield (
            "debounce",
            inngest.Debounce(
                period=_whole("debounce", debounce.period, notes),
                key=debounce.key,
                timeout=_perhaps("debounce", debounce.timeout, notes),
            ),
        )
    if batch := flow.get("batch_events"):
        yield "batch_events", _batch(batch, notes)
    if timeouts := flow.get("timeouts"):
        yield (
            "timeouts",
            inngest.Timeouts(
                start=_perhaps("timeouts", timeouts.start, notes),
                finish=_perhaps("timeouts", timeouts.finish, notes),
            ),
        )


def _batch(batch: Batch, notes: list[str]) -> inngest.Batch:
    timeout = 1.0 if batch.timeout is None else seconds(batch.timeout)
    if batch.timeout is None:
        notes.append("batch_events: a batch fills for a second there, since a cluster wants a timeout")
    if timeout > LONGEST_BATCH:
        notes.append("batch_events: a batch fills for 60 seconds there, no longer")
    limit = _whole("batch_events", min(timeout, LONGEST_BATCH), notes)
    return inngest.Batch(max_size=batch.max_size, timeout=limit, key=batch.key, if_exp=batch.if_exp)


def _cancels(flow: FlowControl, notes: list[str]) -> list[inngest.Cancel]:
    given = flow.get("cancel_on", ())
    found = []
    for cancel in [given] if isinstance(given, Cancel) else given:
        chosen = condition(cancel.if_exp, cancel.match)
        timeout = _perhaps("cancel_on", cancel.timeout, notes)
        found.append(inngest.Cancel(event=cancel.event, if_exp=chosen.text if chosen else None, timeout=timeout))
    return found


def _perhaps(what: str, duration: Duration | None, notes: list[str]) -> Any:
    return None if duration is None else _whole(what, duration, notes)


def _whole(what: str, duration: Duration, notes: list[str]) -> Any:
    given = seconds(duration)
    found = whole(given)
    if found.total_seconds() != given:
        notes.append(
            f"{what}: {given:g} s become {found.total_seconds():g} s there, where only whole seconds are known"
        )
    return found
