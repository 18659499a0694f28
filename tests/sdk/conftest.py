"""What the tests with Inngest's SDKs share; all of them run in the session's event loop.

world       a service with its apps
app         an app of each kind, one after the other
typescript  an app of each kind in TypeScript
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.sdk import world as worlds
from tests.sdk.apps import KINDS, TYPESCRIPT, App
from tests.sdk.world import World
from tests.servers import Servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    server = await servers.get("18")
    url = await server.create_database()
    async with worlds.world(url, tmp_path_factory.mktemp("sdk")) as made:
        yield made
    await server.drop_database(url)


@pytest_asyncio.fixture(params=KINDS, loop_scope="session")
async def app(world: World, request: pytest.FixtureRequest) -> App:
    return await world.app(request.param)


@pytest_asyncio.fixture(params=TYPESCRIPT, loop_scope="session")
async def typescript(world: World, request: pytest.FixtureRequest) -> App:
    return await world.app(request.param)
