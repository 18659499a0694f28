"""What starts a function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

VERBS = ("inserted", "updated", "deleted", "truncated")


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Starts a run for each event of this name, or of this pattern: one that ends in `*`, right after `/` or `.`."""

    event: str

    def __post_init__(self) -> None:
        if not self.event or self.event != self.event.strip():
            raise ValueError(f"an event name must not be empty or padded: {self.event!r}")
        if "*" in self.event and (self.event.count("*") > 1 or not self.event.endswith(("/*", ".*"))):
            raise ValueError(f"{self.event!r} is not a pattern: one '*' may stand at the end, right after '/' or '.'")
        if self.event.startswith("db/") and self.event != "db/*" and table_of(self.event) is None:
            raise ValueError(
                f"{self.event!r} is not a row event: write db/<table>.<verb> or db/<schema>.<table>.<verb> "
                f"with a verb of {', '.join(VERBS)}, or * for all of them"
            )


@dataclass(frozen=True, slots=True)
class EmbeddedTables:
    """Starts a run for every change of every table that has a declared embedding."""


Trigger = EventTrigger | EmbeddedTables


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
    """Every pattern that an event's name matches: for `a/b.c`, `a/*` and `a/b.*`."""
    for place, letter in enumerate(event):
        if letter in "/." and place + 1 < len(event):
            yield f"{event[: place + 1]}*"


def is_taken(event: str) -> bool:
    """Whether an event of one's own cannot have this name: it is none, or says of itself that it is somebody else's."""
    return not event or event.startswith("db/") or event.lower().startswith("inngest/")


def parse_triggers(on: str | Trigger | Iterable[str | Trigger]) -> tuple[Trigger, ...]:
    """The triggers of one `on=` argument.

    Raises:
        ValueError: there is none, or a name is not usable.
    """
    items: Iterable[str | Trigger] = [on] if isinstance(on, str | EventTrigger | EmbeddedTables) else on
    triggers = tuple(EventTrigger(item) if isinstance(item, str) else item for item in items)
    if not triggers:
        raise ValueError("a function needs at least one trigger")
    return triggers


def to_json(trigger: Trigger) -> dict[str, Any]:
    """The stored form of a trigger."""
    return {"event": trigger.event} if isinstance(trigger, EventTrigger) else {"embedded_tables": True}


def from_json(stored: dict[str, Any]) -> Trigger:
    """The trigger of a stored form."""
    return EventTrigger(stored["event"]) if "event" in stored else EmbeddedTables()
