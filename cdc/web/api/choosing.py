"""Which runs or events a query is about."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, HTTPException, Query
from pydantic import BeforeValidator, Field, WithJsonSchema

from cdc import clock
from cdc.events.bulk import Rest
from cdc.store.choice import Choice
from cdc.web.api.answering import Asked

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


class Many(Asked):
    """Which runs are acted on: at least one of the first four says it."""

    function: list[str] | None = Field(default=None, min_length=1, description="Of these functions.")
    status: list[Status] | None = Field(default=None, min_length=1, description="In these states.")
    since: Moment | None = Field(default=None, description="Created since then.")
    until: Moment | None = Field(default=None, description="Created before then.")
    cursor: str | None = Field(default=None, description="The `next` of the answer before: those that were left.")

    @property
    def choice(self) -> Choice:
        """The runs.

        Raises:
            HTTPException: it would be all there are.
        """
        choice = Choice(self.function, self.status, self.since, self.until)
        if choice == Choice():
            raise HTTPException(400, "Say which runs: by function, status, since or until.")
        return choice

    @property
    def rest(self) -> Rest | None:
        """What was left of them.

        Raises:
            HTTPException: no answer gave this cursor.
        """
        try:
            return None if self.cursor is None else Rest.read(self.cursor)
        except ValueError:
            raise HTTPException(400, "cursor is not one that this gave: give back its `next` as it is.") from None
