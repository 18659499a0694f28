"""Workers of the SDKs themselves."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from cdc.remote.answer import Planned, Returned, Threw
from tests.remote.connect.conftest import Reach
from tests.sdk.packages import FOLDER, node
from tests.waiting import eventually

_START_WITHIN = 60.0

WORKERS = {
    "py": (sys.executable, "-m", "tests.remote.connect.python_worker"),
    "js3": (str(node()), "--experimental-websocket", "--conditions=v3", "--import", "tsx", "connected.ts"),
    "js4": (str(node()), "--experimental-websocket", "--import", "tsx", "connected.ts"),
}


@asynccontextmanager
async def worker(kind: str, url: str) -> AsyncIterator[None]:
    """A process with an app of this name, connected; ended politely."""
    process = await asyncio.create_subprocess_exec(
        *WORKERS[kind],
        url,
        cwd=None if kind == "py" else FOLDER,
        env={**os.environ, "APP": kind, "INNGEST_DEV": url},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        while (line := await asyncio.wait_for(process.stdout.readline(), _START_WITHIN)) != b"up\n":
            assert line, "it ended"
        yield
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.parametrize("app", WORKERS)
async def test_a_worker_registers_its_functions_and_answers_calls(reach: Reach, app: str) -> None:
    async with worker(app, reach.url):
        await eventually(lambda: reach.connections.connected(app))
        (said,) = reach.registered
        assert said["appName"] == app
        assert said["sdk"].startswith(f"{app[:2]}:v")
        assert [each["id"] for each in said["functions"]] == [
            f"{app}-{name}" for name in ("greet", "stepped", "broken", "slow")
        ]
        assert await reach.call(app, "greet") == Returned("Hello, world")
        planned = await reach.call(app, "stepped")
        assert isinstance(planned, Planned)
        assert (planned.ops[0].key, planned.ops[0].data) == ("a", "one")
        broken = await reach.call(app, "broken")
        assert isinstance(broken, Threw)
        assert (broken.error["message"], broken.no_retry) == ("never", True)
        # Longer than a lease lasts: the worker says that it is still at it.
        assert await reach.call(app, "slow") == Returned("at last")
    await eventually(lambda: not reach.connections.connected(app))
