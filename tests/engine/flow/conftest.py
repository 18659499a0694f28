from __future__ import annotations

import pytest

from tests.engine.flow.flow import Flow
from tests.engine.harness import Engine
from tests.servers import Connect


@pytest.fixture
async def flow(engine: Engine, connect: Connect) -> Flow:
    """Flow control on a fresh state database; each test runs live and replayed."""
    return await Flow.of(engine, await connect(engine.url))


@pytest.fixture
async def live_flow(live_engine: Engine, connect: Connect) -> Flow:
    return await Flow.of(live_engine, await connect(live_engine.url))
