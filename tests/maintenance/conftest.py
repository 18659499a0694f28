from __future__ import annotations

import pytest

from tests.engine.harness import Engine, open_engine
from tests.servers import Connect


@pytest.fixture
async def engine(migrated_url: str, connect: Connect) -> Engine:
    return await open_engine(migrated_url, await connect(migrated_url))
