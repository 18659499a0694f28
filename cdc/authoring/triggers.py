"""What starts a function."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from cdc.authoring.cron import Cron
from cdc.authoring.expressions import Expression

BACKFILLED = "backfilled"
"""Of rows that were there before (`cdc backfill`). No pattern takes it in: only who names it is to see them."""

VERBS = ("inserted", "updated", "deleted", "truncated", BACKFILLED)

SIGNAL = "cdc/signal."
"""Begins the name of the event that carries a signal."""

INVOKED = "inngest/function.invoked"
SCHEDULED = "inngest/scheduled.timer"
"""The events of a run that was invoked, and of one that a schedule started."""


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Starts a run for each event of this name, or of this pattern: one that ends in `*`, right after `/` or `.`.

    `if_exp` (CEL over `event`) and `match` (fields and the values they must have) narrow it down. With a `model` the
    event's data (of a row event: the new row) must fit it, else the run fails; `ctx.event.typed(Model)` is it then.
    """

    event: str
    if_exp: str | None = None
    match: Mapping[str, Any] = field(default_factory=dict, hash=False)
    model: type[BaseModel] | None = None

    def __post_init__(self) -> None:
        checked_event(self.event)
        condition_of(self.if_exp, self.match)

    def __str__(self) -> str:
        return self.event


@dataclass(frozen=True, slots=True)
class EmbeddedTables:
    """Starts a run for every change of every table that has a declared embedding."""

    def __str__(self) -> str:
        return "embedded tables"


Trigger = EventTrigger | EmbeddedTables | Cron


def checked_event(name: str) -> str:
    """The name of an event, or a pattern.

    Raises:
        ValueError: it is not usable.
    """
    if not name or name != name.strip():
        raise ValueError(f"an event name must not be empty or padded: {name!r}")
    if "*" in name and (name.count("*") > 1 or not name.endswith(("/*", ".*"))):
        raise ValueError(f"{name!r} is not a pattern: one '*' may stand at the end, right after '/' or '.'")
    if name.startswith("db/") and name != "db/*" and table_of(name) is None:
        raise ValueError(
            f"{name!r} is not a row event: write db/<table>.<verb> or db/<schema>.<table>.<verb> "
            f"with a verb of {', '.join(VERBS)}, or * for all of them"
        )
    return name


def condition_of(if_exp: str | None, match: Mapping[str, Any]) -> Expression | None:
    """The expression over `event` that `if_exp` and `match` stand for together; None when there is neither.

    Raises:
        ValueError: one of them is not usable.
    """
    parts = [f"event.{path} == {json.dumps(value)}" for path, value in match.items()]
    if if_exp is not None:
        Expression.compile(if_exp)
        parts.append(f"({if_exp})" if parts else if_exp)
    return Expression.compile(" && ".join(parts)) if parts else None


def embedded_tables() -> EmbeddedTables:
    """The trigger of functions that follow the tables declared with `cdc.embed`."""
    return EmbeddedTables()


def event_name(schema: str, table: str, verb: str) -> str:
    """`db/<table>.<verb>` in schema public, `db/<schema>.<table>.<verb>` elsewhere."""
    return f"db/{table}.{verb}" if schema == "public" else f"db/{schema}.{table}.{verb}"


def table_of(event: str) -> tuple[str, str] | None:
    """The (schema, table) that a row event's name, or a pattern for all its verbs, speaks of; None for other events.

    A dot in a schema's or table's own name is not supported in event names.
    """
    if not event.startswith("db/"):
        return None
    parts = event.removeprefix("db/").split(".")
    if len(parts) not in (2, 3) or parts[-1] not in (*VERBS, "*") or not all(parts):
        return None
    return ("public", parts[0]) if len(parts) == 2 else (parts[0], parts[1])


def patterns_of(event: str) -> Iterator[str]:
    """Every pattern that an event's name matches: for `a/b.c`, `a/*` and `a/b.*`; for a backfilled row none."""
    if event.startswith("db/") and event.endswith(f".{BACKFILLED}"):
        return
    for place, letter in enumerate(event):
        if letter in "/." and place + 1 < len(event):
            yield f"{event[: place + 1]}*"


def is_taken(event: str) -> bool:
    """Whether an event of one's own cannot have this name: it is none, or says of itself that it is somebody else's."""
    return not event or event.startswith(("db/", SIGNAL)) or event.lower().startswith("inngest/")


def parse_triggers(on: str | Trigger | Iterable[str | Trigger]) -> tuple[Trigger, ...]:
    """The triggers of one `on=` argument.

    Raises:
        ValueError: there is none, or a name is not usable.
    """
    items: Iterable[str | Trigger] = [on] if isinstance(on, str | EventTrigger | EmbeddedTables | Cron) else on
    triggers = tuple(EventTrigger(item) if isinstance(item, str) else item for item in items)
    if not triggers:
        raise ValueError("a function needs at least one trigger")
    return triggers


def to_json(trigger: Trigger) -> dict[str, Any]:
    """The stored form of a trigger."""
    match trigger:
        case EventTrigger(event):
            condition = condition_of(trigger.if_exp, trigger.match)
            return {"event": event, "if_exp": condition.text} if condition else {"event": event}
        case Cron(schedule, timezone):
            return {"cron": schedule, "timezone": timezone}
        case EmbeddedTables():
            return {"embedded_tables": True}


def from_json(stored: dict[str, Any]) -> Trigger:
    """The trigger of a stored form."""
    if "event" in stored:
        return EventTrigger(stored["event"], stored.get("if_exp"))
    return Cron(stored["cron"], stored["timezone"]) if "cron" in stored else EmbeddedTables()
