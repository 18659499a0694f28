"""A function as an SDK tells of it (protocol section 3) -> a definition as the registry stores it. Pure.

The options are made with the classes that authors write, so that what is refused there is refused here; what is stored
is what `cdc.authoring` stores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cdc.authoring.context import Context
from cdc.authoring.cron import PREFIX, Cron
from cdc.authoring.expressions import Expression
from cdc.authoring.function import FlowControl, Function, checked_flow
from cdc.authoring.options import (
    MAX_RETRIES,
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
from cdc.remote.fields import Fields, shown, whole

RETRIES = 4
"""After the first attempt, where the SDK does not say."""

MOST = 1000
"""Functions of one app."""

_LONGEST = 255
"""Characters of an id or a name."""

_LONGEST_REASON = 400

_SCHEDULES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ZONE = "CRON_TZ="


class Unusable(Exception):
    """What an app tells cannot be used; says which function and option, and why."""


def definitions(configs: Sequence[object], app: str) -> list[dict[str, Any]]:
    """The definitions of all functions of an app.

    Raises:
        Unusable: one cannot be used, or two have the same id.
    """
    if len(configs) > MOST:
        raise Unusable(f"An app has at most {MOST} functions; {app!r} has {len(configs)}.")
    found: dict[str, dict[str, Any]] = {}
    for config in configs:
        made = definition(config, app)
        if made["id"] in found:
            raise Unusable(f"Two functions of {app!r} have the id {made['id']!r}.")
        found[made["id"]] = made
    return list(found.values())


def definition(config: object, app: str) -> dict[str, Any]:
    """The definition of one function.

    Raises:
        Unusable: it cannot be used.
    """
    with _about(f"A function of {app!r}"):
        fields = Fields(config)
        id_ = _name(fields, "id")
    with _about(f"Function {id_!r}, name"):
        name = fields.text("name") or id_
    made = Function(id_, _triggers(id_, fields), _elsewhere, name[:_LONGEST], _retries(id_, fields), _flow(id_, fields))
    return {**made.definition(), "app": app}


async def _elsewhere(ctx: Context) -> None:
    """The handler is the app's."""


@contextmanager
def _about(what: str, option: str = "") -> Iterator[None]:
    """Say of what is wrong inside what it is about; an `option` that says its own name need not say it again."""
    try:
        yield
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = "it is nested too deeply" if deep else str(error).removeprefix(f"{option}: ")
        raise Unusable(f"{what}: {reason[:_LONGEST_REASON]}") from None


def _name(fields: Fields, name: str) -> str:
    found = fields.text(name)
    if found is None or len(found) > _LONGEST or not found.isprintable() or found != found.strip():
        raise ValueError(f"its {name} must be a text of 1 to {_LONGEST} characters, not {shown(fields.get(name))}")
    return found


def _triggers(id_: str, fields: Fields) -> tuple[Trigger, ...]:
    """There may be none: such a function is only invoked."""
    with _about(f"Function {id_!r}, triggers"):
        return tuple(map(_trigger, fields.each("triggers")))


def _trigger(said: Fields) -> Trigger:
    if schedule := said.text("cron"):
        return _cron(schedule)
    event = said.text("event")
    if event is None:
        raise ValueError("a trigger has an event or a cron")
    return EventTrigger(event, said.text("expression"))


def _cron(schedule: str) -> Cron:
    """With the names of schedules, and the spelling of their zones, that Go programs know."""
    zone, text = "UTC", schedule.strip()
    for prefix in (_ZONE, PREFIX):
        if text.startswith(prefix):
            zone, _, text = text.removeprefix(prefix).partition(" ")
            break
    return Cron(_SCHEDULES.get(text.strip(), text.replace("?", "*")), zone)


def _retries(id_: str, fields: Fields) -> int:
    with _about(f"Function {id_!r}, retries"):
        steps = fields.object("steps")
        retries = steps.first("step").object("retries") if steps else None
        said = retries.whole("attempts") if retries else None
        return RETRIES if said is None else checked_retries(min(said, MAX_RETRIES))


def _flow(id_: str, fields: Fields) -> FlowControl:
    flow: dict[str, Any] = {}
    for told, ours, read in _OPTIONS:
        with _about(f"Function {id_!r}, {told}", ours):
            option = read(fields, told)
            if option is not None and option != ():
                flow[ours] = option
    with _about(f"Function {id_!r}"):
        return checked_flow(FlowControl(**flow))  # type: ignore[typeddict-item]  # each is of its own class


def _concurrency(fields: Fields, name: str) -> tuple[Concurrency, ...]:
    limits = tuple(_limits(name, fields.get(name)))
    if len(limits) > 2:
        raise ValueError(f"one or two limits, not {len(limits)}")
    return limits


def _limits(name: str, given: object) -> Iterator[Concurrency]:
    """A number, a limit, a list of them, or lists by what they limit. A limit of 0 is none."""
    if given is None:
        return
    if isinstance(given, list):
        for each in given:
            yield from _limits(name, each)
    elif isinstance(given, Mapping):
        yield from _limit(name, Fields(given))
    elif limit := whole(name, given):
        yield Concurrency(limit)


def _limit(name: str, said: Fields) -> Iterator[Concurrency]:
    if "limit" in said:
        if limit := said.whole("limit"):
            yield Concurrency(limit, said.text("key"), said.text("scope") or "fn")  # type: ignore[arg-type]
        return
    for kind in ("fn", "step"):
        yield from _limits(name, said.get(kind))


def _batch(fields: Fields, name: str) -> Batch | None:
    said = fields.object(name)
    if said is None:
        return None
    return Batch(said.whole("max_size") or 100, said.seconds("timeout"), said.text("key"), said.text("if"))


def _rate_limit(fields: Fields, name: str) -> RateLimit | None:
    said = fields.object(name)
    return None if said is None else RateLimit(_limit_of(said), _needed(said, "period"), said.text("key"))


def _throttle(fields: Fields, name: str) -> Throttle | None:
    said = fields.object(name)
    return (
        None
        if said is None
        else Throttle(_limit_of(said), _needed(said, "period"), said.whole("burst") or 1, said.text("key"))
    )


def _debounce(fields: Fields, name: str) -> Debounce | None:
    said = fields.object(name)
    return None if said is None else Debounce(_needed(said, "period"), said.text("key"), said.seconds("timeout"))


def _singleton(fields: Fields, name: str) -> Singleton | None:
    said = fields.object(name)
    return None if said is None else Singleton(said.text("mode") or "skip", said.text("key"))  # type: ignore[arg-type]


def _priority(fields: Fields, name: str) -> str | None:
    said = fields.object(name)
    return None if said is None else _expression(said, "run")


def _idempotency(fields: Fields, name: str) -> str | None:
    return _expression(fields, name)


def _expression(fields: Fields, name: str) -> str | None:
    text = fields.text(name)
    return text and Expression.compile(text).text


def _cancels(fields: Fields, name: str) -> tuple[Cancel, ...]:
    return tuple(
        Cancel(said.text("event") or "", said.text("if"), None, said.seconds("timeout")) for said in fields.each(name)
    )


def _timeouts(fields: Fields, name: str) -> Timeouts | None:
    said = fields.object(name)
    return None if said is None else Timeouts(said.seconds("start"), said.seconds("finish"))


def _limit_of(said: Fields) -> int:
    limit = said.whole("limit")
    if limit is None:
        raise ValueError("it needs a limit")
    return limit


def _needed(said: Fields, name: str) -> float:
    found = said.seconds(name)
    if found is None:
        raise ValueError(f"it needs a {name}")
    return found


_OPTIONS = (
    ("concurrency", "concurrency", _concurrency),
    ("throttle", "throttle", _throttle),
    ("rateLimit", "rate_limit", _rate_limit),
    ("debounce", "debounce", _debounce),
    ("batchEvents", "batch_events", _batch),
    ("priority", "priority", _priority),
    ("singleton", "singleton", _singleton),
    ("idempotency", "idempotency", _idempotency),
    ("cancel", "cancel_on", _cancels),
    ("timeouts", "timeouts", _timeouts),
)
"""As SDKs call them, as we do, and what reads them."""
