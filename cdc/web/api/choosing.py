"""Which runs or events a query is about."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Query
from pydantic import BeforeValidator, WithJsonSchema

from cdc import clock
from cdc.store.choice import Choice

Status = Literal["queued", "running", "sleeping", "waiting", "completed", "failed", "cancelled"]


def _past(given: object) -> object:
    return clock.past(given) if isinstance(given, str) else given


_MOMENT = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "pattern": "^[1-9][0-9]{0,3}(ms|s|m|h|d|w)$"},
    ]
}
Moment = Annotated[datetime, BeforeValidator(_past), WithJsonSchema(_MOMENT)]
"""A moment such as `2026-05-01T12:00Z`, or how long ago it was: `2h`."""

Since = Annotated[Moment | None, Query(description="Only since then: `2026-05-01T12:00Z`, or `2h` for two hours ago.")]
Until = Annotated[Moment | None, Query(description="Only before then.")]


async def _choice(
    function: Annotated[list[str] | None, Query(description="Only of this function; may be repeated.")] = None,
    status: Annotated[list[Status] | None, Query(description="Only in this state; may be repeated.")] = None,
    since: Since = None,
    until: Until = None,
) -> Choice:
    return Choice(function or None, status or None, since, until)


Chosen = Annotated[Choice, Depends(_choice)]
"""The runs that a query asks for."""
