from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.store.arrays import plain, quoted
from tests.servers import Connect, Connection

with_connection = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)

# What Postgres takes as text: anything but NUL and lone surrogates.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(
    ["", "NULL", "null", "{}", "{a,b}", '"', "\\", '\\"', ",", " padded ", "\n", "\u2028", "'", "$1", "%(x)s", "😀"]
)


@pytest.fixture
async def connection(database_url: str, connect: Connect) -> Connection:
    return await connect(database_url)


async def read(connection: Connection, array: str, type: str) -> Any:
    row = await (await connection.execute(f"select %s::{type}[]".encode(), [array])).fetchone()
    assert row is not None
    return row[0]


@with_connection
@given(items=st.lists(st.none() | texts))
async def test_postgres_reads_every_text_as_it_was(connection: Connection, items: list[str | None]) -> None:
    assert await read(connection, quoted(items), "text") == items


@with_connection
@given(items=st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)))
async def test_postgres_reads_every_number_as_it_was(connection: Connection, items: list[int | None]) -> None:
    assert await read(connection, plain(items), "bigint") == items


@with_connection
@given(items=st.lists(st.none() | st.floats(allow_nan=False)))
async def test_postgres_reads_every_float_as_it_was(connection: Connection, items: list[float | None]) -> None:
    assert await read(connection, plain(items), "float8") == items


async def test_postgres_reads_uuids_booleans_and_times_as_they_were(connection: Connection) -> None:
    ids = [UUID(int=7), None, UUID(int=2**128 - 1)]
    assert await read(connection, plain(ids), "uuid") == ids
    assert await read(connection, plain([True, False, None]), "boolean") == [True, False, None]
    times = [datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), None]
    assert await read(connection, quoted(times), "timestamptz") == times


async def test_an_array_may_be_empty(connection: Connection) -> None:
    assert await read(connection, plain([]), "integer") == []
    assert await read(connection, quoted([]), "json") == []
