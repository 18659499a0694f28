"""A gateway with its HTTP side, and calls as the engine makes them.

reach       what a worker connects to: `Reach`
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from starlette.applications import Starlette

from cdc.remote.answer import Answer, Planned, Returned, Threw
from cdc.remote.call import App, Call
from cdc.remote.connect import tokens
from cdc.remote.connect.connections import Connections
from cdc.remote.connect.gateway import Gateway
from cdc.remote.connect.handshake import NotLetIn
from cdc.remote.connect.starting import Desk
from cdc.remote.connect.times import Times
from cdc.remote.routes.connect import routes
from cdc.web.server import Web

QUICK = Times(extend=1, lease=2.0, taken=1.0, place=2.0, handshake=1.0, sending=1.0)


class Codec:
    def body(self, call: Call) -> bytes:
        return orjson.dumps(
            {
                "ctx": {
                    "run_id": call.run_id,
                    "attempt": call.attempt,
                    "disable_immediate_execution": call.planned,
                    "use_api": False,
                    "stack": {"stack": call.stack, "current": len(call.stack)},
                },
                "event": call.events[0],
                "events": call.events,
                "steps": call.memos,
                "use_api": False,
                "version": call.version,
            }
        )

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        value = orjson.loads(body)
        if status == 200:
            return Returned(value)
        return Planned(value, int(headers["x-inngest-req-version"])) if status == 206 else Threw(value)


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
        event = {"id": "e1", "name": "app/greeted", "data": {"who": "world"}, "ts": 1, "user": {}}
        call = Call(f"run-{time.monotonic_ns()}", f"{app}-{function}", [event], {}, [], **more)
        return await self.connections.call(App(app, None), call)


@pytest.fixture
async def reach() -> AsyncIterator[Reach]:
    """A gateway on a port of its own, and the service's side of it on another."""
    made = Reach(Connections(Codec(), timeout=20.0, times=QUICK))
    key = tokens.key_of("a secret")
    made.gateway = Gateway(made.connections, made.register, host="127.0.0.1", port=0, key=key, times=QUICK)
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


@asynccontextmanager
async def worker(reach: Reach, *command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that connects, and says `up` then; ended politely, unless it ended."""
    process = await asyncio.create_subprocess_exec(*command, reach.url, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        while (line := await asyncio.wait_for(process.stdout.readline(), 30)) != b"up\n":
            assert line, "it ended"
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
