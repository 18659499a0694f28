from __future__ import annotations

import pytest

from tests.servers import Connect
from tests.store.state import State, open_state


@pytest.fixture
async def state(migrated_url: str, connect: Connect) -> State:
    return await open_state(migrated_url, connect)


@pytest.fixture
async def any_state(any_migrated_url: str, connect: Connect) -> State:
    return await open_state(any_migrated_url, connect)
