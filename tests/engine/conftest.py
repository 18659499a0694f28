"""`engine` runs every test twice: with live handlers, and with the coroutine dropped after each step."""

from __future__ import annotations

import pytest

from tests.engine.harness import Engine, open_engine
from tests.servers import Connect


@pytest.fixture(params=["live", "replayed"])
async def engine(migrated_url: str, connect: Connect, request: pytest.FixtureRequest) -> Engine:
    return await open_engine(migrated_url, await connect(migrated_url), replayed=request.param == "replayed")


@pytest.fixture
async def live_engine(migrated_url: str, connect: Connect) -> Engine:
    return await open_engine(migrated_url, await connect(migrated_url))
