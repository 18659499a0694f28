"""What the listener does rests on what the server does: here, any server is every one of them."""

from __future__ import annotations

import pytest

from tests.servers import EVERY_VERSION, Server, Servers, Version


@pytest.fixture(params=EVERY_VERSION)
async def any_server(servers: Servers, request: pytest.FixtureRequest) -> Server:
    """Postgres 18, then 17, 16, 15 and 14."""
    version: Version = request.param
    return await servers.get(version)
