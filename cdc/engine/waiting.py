"""What a step that waits for an event registers."""

from __future__ import annotations

from cdc.authoring.event import Event
from cdc.authoring.expressions import Expression
from cdc.authoring.options import condition
from cdc.errors import NonRetriableError
from cdc.events.ending import FINISHED
from cdc.store.json import document
from cdc.store.waits import WaitRecord

__all__ = ["Expression", "checked", "record", "told"]


def checked(key: str, event: str, if_exp: str | None, match: str | None) -> Expression | None:
    """The expression that an event must meet.

    Raises:
        NonRetriableError: it is not usable, or the name is a pattern.
    """
    if "*" in event:
        raise NonRetriableError(f"step {key!r}: {event!r} is a pattern; name the event to wait for")
    if event == FINISHED:
        raise NonRetriableError(
            f"step {key!r}: a step cannot wait for {FINISHED}, which is told to functions only; invoke "
            "the function, or let its last step send an event"
        )
    try:
        return condition(if_exp, match)
    except ValueError as unusable:
        raise NonRetriableError(f"step {key!r}: {unusable}") from None


def told(event: str, expression: Expression | None) -> str:
    """What it waits for, as people see it once it has come, too."""
    return document({"event": event, "expression": None if expression is None else expression.text})


def record(run_id: str, key: str, event: str, timeout: float, expression: Expression | None, own: Event) -> WaitRecord:
    """The wait, with what its expression needs to know of the run's `own` event."""
    if expression is None:
        return WaitRecord(run_id, key, False, event, None, None, None, {}, timeout)
    seen = own.as_dict()
    path, value = expression.equality(seen) or (None, None)
    return WaitRecord(run_id, key, False, event, path, value, expression.text, expression.needs(seen), timeout)
