"""Lists of events and runs, newest first, page by page. However little a filter finds, and however large values are,
one page takes a bounded amount of work.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from cdc.store.choice import UNFINISHED, Choice, above, below
from cdc.store.connect import Connection
from cdc.store.queries import text

LOOKS = 50_000
"""Rows that one page looks at, at most."""

READS = 10_000
"""The same where their data is read, of which there are at most so many bytes:"""

BYTES = 32 * 1024 * 1024

STANDING = 20_000
"""Unfinished runs of one kind up to which they are looked for by themselves."""

_BEGINS = re.compile(r'\s*\{\s*"name":\s*"((?:[^"\\]|\\.)*)",\s*"message":\s*"((?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*)')

Key = TypeVar("Key")


class EventKey(NamedTuple):
    """Where a page of events begins: after this event."""

    accepted_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Which:
    """Events of this name (or pattern: `db/users.*`), with this in their data, accepted in this time; None is any."""

    name: str | None = None
    containing: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Key]):
    """Some rows. `next`: the following page comes after that; None: there is none. `searched_until`: how far back was
    looked, where that took as much work as one page may before it was full.
    """

    rows: list[dict[str, Any]]
    next: Key | None = None
    searched_until: datetime | None = None


class _Seen(NamedTuple):
    id: str
    at: datetime
    place: int
    matched: bool


async def events(conn: Connection, which: Which, limit: int, *, after: EventKey | None = None) -> Page[EventKey]:
    """Events as lists show them: data above 4 kB is left out (`truncated`), its beginning may be at `excerpt`."""
    looks = limit + 1 if which.name is which.containing is None else LOOKS if which.containing is None else READS
    until = EventKey(which.until, str(UUID(int=0))) if which.until else None
    begin = min(filter(None, (after, until)), default=("infinity", str(UUID(int=0))))
    parameters = {
        "name": None if which.name is None else _like(which.name),
        "since": which.since or "-infinity",
        "before_at": begin[0],
        "before_id": begin[1],
        "looks": looks,
        "limit": limit + 1,
    }
    if which.containing is None:
        seen = await _seen(conn, "events/page", parameters)
    else:
        read = {**parameters, "containing": which.containing, "bytes": BYTES}
        seen = await _seen(conn, "events/page_containing", read)
    found, last, stopped = _page(seen, looks, limit)
    rows = await dicts(conn, "events/listed", {"ids": [each.id for each in found]}) if found else []
    return Page(rows, last and EventKey(last.at, last.id), stopped)


async def runs(
    conn: Connection, choice: Choice, limit: int, *, after: str | None = None, most: int = LOOKS
) -> Page[str]:
    """Runs as lists show them: output and error above 4 kB are left out (`truncated`), the beginning of the output may
    be at `excerpt`. At most so many are looked at.
    """
    looks = limit + 1 if choice == Choice() else most
    parameters = {
        **choice.parameters(),
        "since": choice.since or "-infinity",
        "until": choice.until or "infinity",
        "first": below(choice),
        "before": min(filter(None, (after, above(choice)))),
        "looks": looks,
        "limit": limit + 1,
    }
    asked = set(choice.statuses or ())
    if asked and asked <= set(UNFINISHED):
        ids = await _unfinished(conn, {**parameters, "looks": STANDING})
        if ids is not None:
            return Page(await listed_runs(conn, ids[:limit]), ids[limit - 1] if len(ids) > limit else None)
    statement = "runs/page_failed" if asked and asked <= {"failed", "cancelled"} else "runs/page"
    found, last, stopped = _page(await _seen(conn, statement, parameters), looks, limit)
    return Page(await listed_runs(conn, [each.id for each in found]), last and last.id, stopped)


async def each(turn: Callable[[Key | None], Awaitable[Page[Key]]]) -> AsyncIterator[Page[Key]]:
    """All pages of a list, from the one that comes after nothing on."""
    after: Key | None = None
    while True:
        page = await turn(after)
        yield page
        after = page.next
        if after is None:
            return


async def listed_runs(conn: Connection, ids: Sequence[str]) -> list[dict[str, Any]]:
    """These runs as lists show them, newest first."""
    rows = await dicts(conn, "runs/listed", {"ids": list(ids)}) if ids else []
    for row in rows:
        begins = row.pop("error_begins")
        if begins is not None:
            row["error"] = _beginning(begins)
    return rows


async def dicts(conn: Connection, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a statement, by their columns' names."""
    cursor = await conn.execute(text(name), parameters)
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def _seen(conn: Connection, statement: str, parameters: Mapping[str, Any]) -> list[_Seen]:
    return [_Seen(*row) for row in await (await conn.execute(text(statement), parameters)).fetchall()]


async def _unfinished(conn: Connection, parameters: Mapping[str, Any]) -> list[str] | None:
    """The ids of a page, and one more if there is; None: there are too many unfinished ones to look at."""
    rows = await (await conn.execute(text("runs/page_unfinished"), parameters)).fetchall()
    return [row[0] for row in rows if row[0] is not None] if rows[0][1] else None


def _page(seen: Sequence[_Seen], looks: int, limit: int) -> tuple[list[_Seen], _Seen | None, datetime | None]:
    """What matched, after what the next page comes, and how far was looked if that is where it was stopped."""
    matched = [each for each in seen if each.matched]
    if len(matched) > limit:
        return matched[:limit], matched[limit - 1], None
    if seen and seen[-1].place == looks:
        return matched, seen[-1], seen[-1].at
    return matched, None, None


def _like(pattern: str) -> str:
    """A name, or the beginning of names that end in `*`, as LIKE reads it."""
    name = pattern.removesuffix("*")
    escaped = re.sub(r"([\\%_])", r"\\\1", name)
    return escaped if name == pattern else f"{escaped}%"


def _beginning(error: str) -> dict[str, str] | None:
    """Name and message of an error, from the beginning of its JSON."""
    found = _BEGINS.match(error)
    if found is None:
        return None
    name, message = (json.loads(f'"{part}"', strict=False) for part in found.groups())
    return {"name": name, "message": message}
