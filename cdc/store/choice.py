"""A choice of runs, for those who look at many of them, cancel them or give them their events again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from cdc.store.connect import Connection
from cdc.store.queries import text

UNFINISHED = ("queued", "running", "sleeping", "waiting")
ENDED = ("completed", "failed", "cancelled")
STATUSES = (*UNFINISHED, *ENDED)

_SKEW = timedelta(hours=1)
"""Between the clocks of the process that made a run's id and of the database, at most."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Runs of these functions, in these states, created in this time; None is any."""

    functions: Sequence[str] | None = None
    statuses: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        """For the statements that take a choice."""
        return {
            "functions": None if self.functions is None else list(self.functions),
            "statuses": None if self.statuses is None else list(self.statuses),
            "since": self.since,
            "until": self.until,
        }


class Counted(NamedTuple):
    """A choice that later runs do not enter, and how many it has."""

    choice: Choice
    runs: int


async def count(conn: Connection, choice: Choice, *, after: str | None = None) -> Counted:
    """How many runs a choice has now, or has after one of them. It ends now, unless it ended before."""
    parameters = {**choice.parameters(), "after": after or below(choice)}
    row = await (await conn.execute(text("runs/count_chosen"), parameters)).fetchone()
    assert row is not None, "an aggregate has one row"
    return Counted(replace(choice, until=row[1]), row[0])


async def pages(conn: Connection, choice: Choice, size: int, *, after: str | None = None) -> AsyncIterator[list[str]]:
    """The runs of a counted choice, `size` at a time, by id: each page is read when the one before is done with.

    All of them, or those `after` one of them.
    """
    parameters = {**choice.parameters(), "after": after or below(choice), "limit": size}
    while page := [row[0] for row in await (await conn.execute(text("runs/chosen"), parameters)).fetchall()]:
        yield page
        parameters["after"] = page[-1]


def first_id(moment: datetime, later: timedelta = timedelta()) -> str:
    """The least id of a run that is made at this moment, or so much later: its first 48 bits are the milliseconds."""
    milliseconds = int((moment.timestamp() + later.total_seconds()) * 1000)
    return str(UUID(int=min(max(0, milliseconds), (1 << 48) - 1) << 80))


def below(choice: Choice) -> str:
    """An id below those of all runs of this choice."""
    return str(UUID(int=0)) if choice.since is None else first_id(choice.since, -_SKEW)


def above(choice: Choice) -> str:
    """An id above those of all runs of this choice."""
    return str(UUID(int=(1 << 128) - 1)) if choice.until is None else first_id(choice.until, _SKEW)
