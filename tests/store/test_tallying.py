"""What is stored is counted once it is durable and not before; what was counted is written, if not now then later."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext, suppress

import orjson
import pytest

from cdc.errors import DatabaseUnreachable
from cdc.service import tallying
from cdc.service.tallying import Tallying
from cdc.store.connect import Connection, connect, pool
from cdc.store.counting import count
from cdc.tallies import MOST_NAMES, OTHER, Tallies, counted

AT = 1_800_000_000.0
"""When a minute begins."""


@pytest.fixture(autouse=True)
def _nothing_counted() -> Iterator[None]:
    """The book of this process is of this test alone."""
    counted.drain()
    yield
    counted.drain()


@pytest.fixture
async def conn(migrated_url: str) -> AsyncIterator[Connection]:
    async with await connect(migrated_url, autocommit=True) as conn:
        yield conn


def one(name: str) -> Tallies:
    book = Tallies()
    book.add("event", name)
    return book


def names() -> set[str]:
    return {*counted.of("event")}


@pytest.mark.parametrize("pipelined", [False, True])
async def test_what_is_rolled_back_was_never_counted(conn: Connection, *, pipelined: bool) -> None:
    async with conn.pipeline() if pipelined else nullcontext(), conn.transaction():
        await conn.execute("select 1")
        count(conn, one("outer"))
        with suppress(ZeroDivisionError):
            async with conn.transaction():
                count(conn, one("inner"))
                raise ZeroDivisionError
        async with conn.transaction(force_rollback=True):
            count(conn, one("forced"))
        async with conn.transaction():
            count(conn, one("released"))
        assert names() == set(), "nothing of it is committed"
    assert names() == {"outer", "released"}
    with suppress(ZeroDivisionError):
        async with conn.transaction():
            count(conn, one("lost"))
            raise ZeroDivisionError
    count(conn, one("at once"))
    assert names() == {"outer", "released", "at once"}


async def test_without_autocommit_the_commit_at_the_end_counts(migrated_url: str) -> None:
    async with pool(migrated_url, size=1, name="test") as connections:
        async with connections.connection() as conn:
            await conn.execute("select 1")
            async with conn.transaction():
                count(conn, one("kept"))
            assert names() == set(), "that was a savepoint"
        assert names() == {"kept"}
        with suppress(ZeroDivisionError):
            async with connections.connection() as conn:
                await conn.execute("select 1")
                count(conn, one("dropped"))
                raise ZeroDivisionError
        assert names() == {"kept"}


class Service:
    """A service's tallying, with a clock and a database that a test sets."""

    def __init__(self, url: str) -> None:
        self.now, self.is_away = AT, False
        self._url = url
        self.tallying = Tallying(self._connect, now=lambda: self.now)

    async def _connect(self) -> Connection:
        if self.is_away:
            raise DatabaseUnreachable("It is away.", hint="")
        return await connect(self._url, autocommit=True)


async def minutes(conn: Connection) -> dict[float, Counter[str]]:
    """Events by minute (since `AT`) and name."""
    query = "select extract(epoch from at)::float8, name, count from cdc_state.tallies where width = 60 and name <> ''"
    found: dict[float, Counter[str]] = {}
    for at, name, number in await (await conn.execute(query.encode())).fetchall():
        found.setdefault((at - AT) / 60, Counter())[name] = number
    return found


async def test_what_cannot_be_written_is_kept_in_its_minute_for_the_next_time(
    conn: Connection, migrated_url: str
) -> None:
    service = Service(migrated_url)
    counted.add("event", "first", 2)
    await service.tallying.write()
    service.is_away = True
    for minute in (1, 2):
        service.now = AT + 60 * minute
        counted.add("event", "second", minute)
        with pytest.raises(DatabaseUnreachable):
            await service.tallying.write()
    assert await minutes(conn) == {0: {"first": 2}}
    service.is_away = False
    counted.add("event", "first", 5)
    assert 0 < await service.tallying.tick() <= tallying.EVERY
    assert await minutes(conn) == {0: {"first": 2}, 1: {"second": 1}, 2: {"second": 2, "first": 5}}
    await service.tallying.close()
    assert {name: tally.count for name, tally in service.tallying.totals.of("event").items()} == {
        "first": 7,
        "second": 3,
    }


async def test_a_minute_has_a_bounded_number_of_names_however_often_it_is_written(
    conn: Connection, migrated_url: str
) -> None:
    service = Service(migrated_url)
    for batch in range(3):
        for number in range(MOST_NAMES - 50):
            counted.add("event", f"{batch}/{number}")
        await service.tallying.write()
    (found,) = (await minutes(conn)).values()
    assert len(found) == MOST_NAMES + 1
    assert found[OTHER] == 3 * (MOST_NAMES - 50) - MOST_NAMES
    service.now += 60
    counted.add("event", "2/0", 1)
    await service.tallying.write()
    assert (await minutes(conn))[1] == {"2/0": 1}, "the next minute tells new ones apart"


def test_a_worker_tells_everything_in_lines_that_are_written_whole() -> None:
    for number in range(MOST_NAMES):
        counted.time("completed", f"function-{number}", 0.1 * number)
    before = counted.counts()
    lines: list[bytes] = []
    tallying.tell(lambda **report: lines.append(orjson.dumps(report) + b"\n"))
    assert counted.counts() == []
    assert max(map(len, lines)) <= os.pathconf("/", "PC_PIPE_BUF")
    for line in lines:
        tallying.hear(orjson.loads(line))
    assert counted.counts() == before
