"""`@function`: describes a durable function and registers nothing; discovery collects."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cdc.authoring import triggers
from cdc.authoring.context import Context
from cdc.authoring.options import Batch, checked_retries
from cdc.authoring.triggers import Trigger

Handler = Callable[[Context], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Function:
    """A function's definition and its handler."""

    id: str
    triggers: tuple[Trigger, ...]
    handler: Handler
    name: str
    retries: int = 3
    batch_events: Batch | None = None

    def definition(self) -> dict[str, Any]:
        """Everything but the handler, as it is stored in the registry."""
        return {
            "id": self.id,
            "name": self.name,
            "triggers": [triggers.to_json(trigger) for trigger in self.triggers],
            "retries": self.retries,
            "batch_size": self.batch_events.max_size if self.batch_events else None,
        }


def function(
    id: str,
    *,
    on: str | Trigger | Iterable[str | Trigger],
    name: str | None = None,
    retries: int = 3,
    batch_events: Batch | None = None,
) -> Callable[[Handler], Function]:
    """Make a durable function of a coroutine function that takes a `Context`.

    Args:
        id: names the function for ever; runs in flight find their handler by it.
        on: an event name such as `db/users.inserted`, a trigger, or several.
        name: shown to people; the id when not given.
        retries: how often a failing step or handler is tried again, 0 to 20.
        batch_events: take several events in one run, in `ctx.events`.

    Raises:
        ValueError: id, trigger or option is not usable.
        TypeError: the handler is not a coroutine function.
    """
    if not id or id != id.strip():
        raise ValueError(f"a function's id must not be empty or padded: {id!r}")
    parsed = triggers.parse_triggers(on)
    checked_retries(retries)

    def describe(handler: Handler) -> Function:
        if not inspect.iscoroutinefunction(handler):
            raise TypeError(f"function {id!r}: the handler must be written with 'async def'")
        return Function(id, parsed, handler, name or id, retries, batch_events)

    return describe
