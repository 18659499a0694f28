"""Which row events a handler takes, where a cluster's triggers say less than ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdc.authoring.event import Event
from cdc.authoring.function import Function
from cdc.authoring.triggers import EventTrigger, patterns_of


def takes(function: Function, event: Event) -> bool:
    """Whether an event would have started the function here.

    A cluster's `db/*` takes in backfilled rows and messages, and it knows no `columns`.
    """
    if not event.name.startswith("db/"):
        return True
    names = {event.name, *patterns_of(event.name)}
    found = [trigger for trigger in function.triggers if isinstance(trigger, EventTrigger) and trigger.event in names]
    return any(_changed(trigger, event) for trigger in found)


def _changed(trigger: EventTrigger, event: Event) -> bool:
    """Whether an update may have changed one of the columns that the trigger names."""
    if not trigger.columns or not event.name.endswith(".updated"):
        return True
    new, old = event.data.get("new"), event.data.get("old")
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        return True
    unchanged = event.data.get("unchanged") or ()
    return any(column not in unchanged and _differs(column, new, old) for column in trigger.columns)


def _differs(column: str, new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Whether it does; without `REPLICA IDENTITY FULL` the old row has few columns, and nothing is known."""
    return column not in old or column not in new or bool(new[column] != old[column])
