"""Events and the runs they start, written many at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from cdc.authoring.event import Event
from cdc.errors import ConfigurationError
from cdc.lsn import Position
from cdc.store import rows
from cdc.store.arrays import plain, quoted
from cdc.store.connect import Connection, in_pipeline
from cdc.store.counting import count
from cdc.store.json import loads
from cdc.store.queries import text
from cdc.tallies import Tallies


class Extra(NamedTuple):
    """What only some events have, given by their sender. `scheduled`: its `ts` was given, and may be in the future."""

    given_id: str | None = None
    user: bytes | None = None
    v: str | None = None
    scheduled: bool = False


_NO_EXTRA = Extra()


class RowChange(NamedTuple):
    """What a row event was made of, beside what it says: only of tables whose columns triggers narrow on.

    `identity` is (oid, replica identity, its columns); `new`, `old` and `unchanged` are those of the event's data.
    """

    identity: tuple[int, str, tuple[str, ...]]
    new: Mapping[str, Any] | None
    old: Mapping[str, Any] | None
    unchanged: tuple[str, ...]


FEW = 50
"""Rows that one statement writes sooner than COPY, which costs round trips and is faster for many."""

_FEW_BYTES = 256 * 1024
"""Of data, likewise: as a parameter it is copied several times."""


class Incoming(NamedTuple):
    """An event on its way in.

    `id` has 16 bytes, `ts` is microseconds since 1970, `data` is JSON; `position` is set when it comes from WAL, and
    `traceparent` when it belongs to a trace.
    """

    id: bytes
    name: str
    ts: int
    data: bytes
    position: Position | None
    extra: Extra | None = None
    row: RowChange | None = None
    traceparent: str | None = None

    @property
    def is_scheduled(self) -> bool:
        """Whether its runs may have to wait for its time."""
        return self.extra is not None and self.extra.scheduled

    def as_event(self) -> Event:
        """As handlers will see it."""
        extra = self.extra or _NO_EXTRA
        user = loads(extra.user) if extra.user else {}
        id_ = extra.given_id or str(UUID(bytes=self.id))
        return Event(self.name, loads(self.data), id_, self.ts // 1000, user, extra.v, self.traceparent)

    def as_dict(self) -> dict[str, Any]:
        """As expressions see it."""
        return self.as_event().as_dict()


class NewRun(NamedTuple):
    """A run to create: `id` and each event id have 16 bytes."""

    id: bytes
    function_id: str
    event_ids: list[bytes]


def are_few(events: Sequence[Incoming]) -> bool:
    """Whether one statement writes them sooner than COPY."""
    return len(events) <= FEW and sum(len(event.data) for event in events) <= _FEW_BYTES


async def insert_events(conn: Connection, source_id: int | None, events: Sequence[Incoming]) -> None:
    """Store events in the caller's transaction; fails as a whole when one is stored already."""
    await _insert(conn, source_id, events)
    book = Tallies()
    for name, number in Counter(map(attrgetter("name"), events)).items():
        book.add("event", name, number)
    count(conn, book)


async def _insert(conn: Connection, source_id: int | None, events: Sequence[Incoming]) -> None:
    if in_pipeline(conn) or are_few(events):
        await conn.execute(text("events/insert"), {"source_id": source_id, **_columns(events)})
        return
    common = [event[:4] for event in events if event.extra is None and event.traceparent is None]
    if common:
        await _copy(conn, "events/copy", rows.events(source_id, common))
    if len(common) < len(events):
        sent = (_row(source_id, event) for event in events if event.extra or event.traceparent)
        await _copy(conn, "events/copy_sent", rows.copied(sent))


def _row(source_id: int | None, event: Incoming) -> bytes:
    extra = event.extra or _NO_EXTRA
    user = None if extra.user is None else extra.user.decode()
    return rows.sent_event(source_id, event[:4], (extra.given_id, user, extra.v, event.traceparent))


def _columns(events: Sequence[Incoming]) -> dict[str, str]:
    extras = [event.extra or _NO_EXTRA for event in events]
    return {
        "ids": plain(event.id.hex() for event in events),
        "names": quoted(event.name for event in events),
        "tss": plain(event.ts for event in events),
        "data": quoted(event.data.decode() for event in events),
        "given_ids": quoted(extra.given_id for extra in extras),
        "users": quoted(None if extra.user is None else extra.user.decode() for extra in extras),
        "vs": quoted(extra.v for extra in extras),
        "traceparents": quoted(event.traceparent for event in events),
    }


async def insert_runs(conn: Connection, runs: Sequence[NewRun]) -> None:
    """Create runs in the caller's transaction."""
    if not runs:
        return
    if len(runs) <= FEW or in_pipeline(conn):
        parameters = {
            "ids": plain(run.id.hex() for run in runs),
            "functions": quoted(run.function_id for run in runs),
            "event_ids": quoted(plain(id_.hex() for id_ in run.event_ids) for run in runs),
        }
        await conn.execute(text("runs/queue"), parameters)
        return
    names = {run.function_id: rows.text_field(run.function_id) for run in runs}
    lines = (rows.run_row(run.id, names[run.function_id], run.event_ids) for run in runs)
    await _copy(conn, "runs/copy", rows.copied(lines))


async def _copy(conn: Connection, name: str, copied: bytes) -> None:
    async with conn.cursor() as cursor, cursor.copy(text(name)) as copy:
        await copy.write(copied)


async def stored(conn: Connection, events: Sequence[Incoming]) -> set[bytes]:
    """The ids among these that are stored already."""
    ids = plain(event.id.hex() for event in events)
    found = await (await conn.execute(text("events/stored"), {"ids": ids})).fetchall()
    return {row[0].bytes for row in found}


async def reject(conn: Connection, source_id: int | None, event: Incoming, reason: str) -> None:
    """Set one event aside with the reason why it cannot be stored."""
    await conn.execute(
        text("events/reject"),
        {
            "id": UUID(bytes=event.id),
            "source_id": source_id,
            "name": event.name,
            "position": str(event.position),
            "reason": reason,
        },
    )


async def edit(conn: Connection, id: str, edited_from: str, data: str) -> None:
    """Store a copy of an event with other data (JSON), which concerns nobody but the run that is given it."""
    await conn.execute(text("events/edit"), {"id": id, "edited_from": edited_from, "data": data})


async def load(conn: Connection, ids: Iterable[str]) -> dict[str, Event]:
    """Events by id."""
    found = await (await conn.execute(text("events/by_ids"), {"ids": list(ids)})).fetchall()
    return {row[0]: seen(*row) for row in found}


def seen(
    id: str,
    name: str,
    ts: int,
    data: dict[str, Any],
    given_id: str | None,
    user: dict[str, Any] | None,
    v: str | None,
    traceparent: str | None,
) -> Event:
    """A stored event as handlers see it: with the id that its sender gave, if there is one."""
    return Event(name, data, given_id or id, ts, user or {}, v, traceparent)


async def send(
    conn: Connection,
    name: str,
    data: str,
    *,
    id: str | None = None,
    ts: datetime | None = None,
    user: str | None = None,
    v: str | None = None,
) -> None:
    """Call `cdc.send()` in the watched database; `data` and `user` are JSON objects.

    Raises:
        ConfigurationError: the name, the data or one of the others cannot be used.
    """
    try:
        await conn.execute(text("events/send"), {"name": name, "data": data, "id": id, "ts": ts, "user": user, "v": v})
    except psycopg.DataError as error:
        message = error.diag.message_primary or str(error)
        raise ConfigurationError(f"{message}.", hint=error.diag.message_hint or "") from None
