"""A gateway with its HTTP side, and calls as the engine makes them.

times       how long things may take: in a test that does not say otherwise, longer than any machine is busy
reach       what a worker connects to: `Reach`
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette

from cdc.remote.answer import Answer
from cdc.remote.call import App, Call
from cdc.remote.connect import starting, tokens
from cdc.remote.connect.connections import Connections
from cdc.remote.connect.gateway import Gateway
from cdc.remote.connect.handshake import NotLetIn
from cdc.remote.connect.starting import Desk
from cdc.remote.connect.times import Times
from cdc.remote.routes.connect import routes
from cdc.remote.traffic import Traffic
from cdc.web.server import Web

PATIENT = Times(silence=60.0, extend=1, lease=60.0, taken=60.0, place=60.0, handshake=60.0, sending=60.0)


@dataclass
class Reach:
    """Where workers connect; `registered` is what they said of their apps."""

    connections: Connections
    registered: list[Mapping[str, Any]] = field(default_factory=list)
    refuses: str | None = None
    gateway: Gateway = field(init=False)
    desk: Desk = field(init=False)
    url: str = ""

    async def register(self, said: Mapping[str, Any]) -> None:
        if self.refuses:
            raise NotLetIn(self.refuses)
        self.registered.append(said)

    async def call(self, app: str, function: str, **more: Any) -> Answer:
        event = {"id": "e1", "name": f"{app}/{function}", "data": {"who": "world"}, "ts": 1, "user": {}}
        call = Call(f"run-{time.monotonic_ns()}", f"{app}-{function}", [event], {}, [], **more)
        return await self.connections.call(App(app, None), call)


@pytest.fixture
def times() -> Times:
    return PATIENT


@pytest.fixture
async def reach(times: Times, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reach]:
    """A gateway on a port of its own, and the service's side of it on another."""
    monkeypatch.setattr(starting, "_PATIENCE", 60.0)
    made = Reach(Connections(Traffic(100), timeout=120.0, times=times))
    key = tokens.key_of("a secret")
    made.gateway = Gateway(made.connections, made.register, host="127.0.0.1", port=0, key=key, times=times)
    await made.gateway.start()

    async def awake() -> None:
        return None

    made.desk = Desk("127.0.0.1", made.gateway.port, key, awake)
    web = Web(Starlette(routes=routes(made.desk)), 0)
    web.start()
    made.url = web.url
    yield made
    await made.gateway.close()
    await web.stop()
