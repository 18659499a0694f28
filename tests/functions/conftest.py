"""Tables with an embedding of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cdc.authoring.context import Database
from cdc.store.connect import pool
from tests.functions.embedding import CHUNKED, KINDS, Followed, follow
from tests.servers import Connect, Connection


@pytest.fixture
async def conn(migrated_url: str, connect: Connect) -> Connection:
    return await connect(migrated_url)


@pytest.fixture
async def db(migrated_url: str) -> AsyncIterator[Database]:
    async with pool(migrated_url, size=8, name="test") as opened:
        yield opened


@pytest.fixture(params=[*KINDS, *CHUNKED])
async def docs(request: pytest.FixtureRequest, conn: Connection, db: Database) -> Followed:
    """An empty table with a target of each kind."""
    return await follow(conn, db, request.param)


@pytest.fixture
async def table(conn: Connection, db: Database) -> Followed:
    """An empty table with a target table."""
    return await follow(conn, db, "table")


@pytest.fixture
async def column(conn: Connection, db: Database) -> Followed:
    """An empty table with a target column."""
    return await follow(conn, db, "column")
