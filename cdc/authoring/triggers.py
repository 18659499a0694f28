"""What starts a function."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel

from cdc.authoring.cron import Cron
from cdc.authoring.expressions import Expression

BACKFILLED = "backfilled"
"""Of rows that were there before (`cdc backfill`). No pattern takes it in: only who names it is to see them."""

VERBS = ("inserted", "updated", "deleted", "truncated", BACKFILLED)

RETRIED = "retried"
"""Of rows whose text was put aside and is to be tried again: for what keeps embeddings. No pattern takes it in."""

MESSAGE = "db/message."
"""Begins the name of the event that a logical message becomes; its prefix follows."""

_PART = r'"(?:[^"]|"")+"|[^".*]+'
_ROW_EVENT = re.compile(rf"db/(?:({_PART})\.)?({_PART})\.(?:{'|'.join((*VERBS, RETRIED))}|\*)", re.DOTALL)

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
    With `columns` an update starts a run only if it changed one of them; other events of the pattern start one as ever.
    """

    event: str
    if_exp: str | None = None
    match: Mapping[str, Any] = field(default_factory=dict, hash=False)
    model: type[BaseModel] | None = None
    columns: Sequence[str] = ()

    def __post_init__(self) -> None:
        checked_event(self.event)
        condition_of(self.if_exp, self.match)
        object.__setattr__(self, "columns", checked_columns(self.columns))
        if self.columns and not has_updates(self.event):
            raise ValueError(f"columns narrow db/<table>.updated, or db/<table>.*; {self.event!r} is neither")

    def __str__(self) -> str:
        return f"{self.event} ({', '.join(self.columns)})" if self.columns else self.event


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
    table = table_of(name)
    if table is None and "*" in name and (name.count("*") > 1 or not name.endswith(("/*", ".*"))):
        raise ValueError(f"{name!r} is not a pattern: one '*' may stand at the end, right after '/' or '.'")
    if name.startswith("db/") and name != "db/*" and table is None and not is_message(name):
        raise ValueError(
            f"{name!r} is not a row event: write db/<table>.<verb> or db/<schema>.<table>.<verb> "
            f"with a verb of {', '.join(VERBS)}, or * for all of them; in double quotes a name with a dot, a quote or "
            "a star in it. A logical message is db/message.<prefix>"
        )
    return name


def checked_columns(columns: Sequence[str]) -> tuple[str, ...]:
    """The names of columns, each once.

    Raises:
        ValueError: they are not names.
    """
    names: list[object] = list(columns)
    if isinstance(columns, str) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"columns takes a list of names, such as ['title'], not {columns!r}")
    return tuple(dict.fromkeys(columns))


def has_updates(event: str) -> bool:
    """Whether an event's name, or a pattern, stands for the updates of one table."""
    return table_of(event) is not None and event.endswith((".updated", ".*"))


def narrowed(triggers: Sequence[Trigger], columns: Sequence[str]) -> tuple[Trigger, ...]:
    """The triggers, those that updates start and that have no columns of their own narrowed to these.

    Raises:
        ValueError: there is no such trigger, or no column.
    """
    names = checked_columns(columns)
    if not names:
        raise ValueError("columns is empty: leave it out, and every update starts the function")
    found = tuple(
        replace(trigger, columns=names)
        if isinstance(trigger, EventTrigger) and has_updates(trigger.event) and not trigger.columns
        else trigger
        for trigger in triggers
    )
    if found == tuple(triggers):
        raise ValueError("columns narrow updates, but no trigger is db/<table>.updated or db/<table>.*")
    return found


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
    """`db/<table>.<verb>` in schema public, `db/<schema>.<table>.<verb>` elsewhere.

    A name with a dot, a quote or a star in it stands in double quotes, quotes in it doubled.
    """
    return f"db/{_written(table)}.{verb}" if schema == "public" else f"db/{_written(schema)}.{_written(table)}.{verb}"


def table_of(event: str) -> tuple[str, str] | None:
    """The (schema, table) that a row event's name, or a pattern for all its verbs, speaks of; None for other events.

    `db/message.*` speaks of logical messages, `db/"message".*` of a table.
    """
    found = _ROW_EVENT.fullmatch(event)
    if found is None or event == f"{MESSAGE}*":
        return None
    schema, table = found.groups()
    return _read(schema or "public"), _read(table)


def is_message(event: str) -> bool:
    """Whether this is the name of a logical message's event, or a pattern for some."""
    prefix = event.removeprefix(MESSAGE)
    ours = prefix == "cdc" or prefix.startswith("cdc.")
    return event.startswith(MESSAGE) and prefix != "" and not ours and table_of(event) is None


def message_name(prefix: str) -> str | None:
    """The name of the event of logical messages with this prefix; None when they are none.

    Those are our own, and those whose event would go by the name of a row's.
    """
    name = f"{MESSAGE}{prefix}"
    return name if is_message(name) else None


def patterns_of(event: str) -> Iterator[str]:
    """Every pattern that an event's name matches: for `a/b.c`, `a/*` and `a/b.*`; for a backfilled or retried row none.

    `db/*` is for rows only.
    """
    if event.startswith("db/") and event.endswith((f".{BACKFILLED}", f".{RETRIED}")):
        return
    first = MESSAGE.index("/") + 1 if is_message(event) else 0
    for place, letter in enumerate(event):
        if letter in "/." and first <= place < len(event) - 1:
            yield f"{event[: place + 1]}*"


def _written(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if not {".", '"', "*"}.isdisjoint(name) else name


def _read(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


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
            narrowing = {"if_exp": condition.text} if condition else {}
            return {"event": event, **narrowing, **({"columns": list(trigger.columns)} if trigger.columns else {})}
        case Cron(schedule, timezone):
            return {"cron": schedule, "timezone": timezone}
        case EmbeddedTables():
            return {"embedded_tables": True}


def from_json(stored: dict[str, Any]) -> Trigger:
    """The trigger of a stored form."""
    if "event" in stored:
        return EventTrigger(stored["event"], stored.get("if_exp"), columns=stored.get("columns", ()))
    return Cron(stored["cron"], stored["timezone"]) if "cron" in stored else EmbeddedTables()
