"""Workers of the SDKs themselves."""

from __future__ import annotations

import sys

from cdc.remote.answer import Planned, Returned, Threw
from tests.remote.connect.conftest import Reach, worker
from tests.waiting import eventually

PYTHON = (sys.executable, "-m", "tests.remote.connect.python_worker")


async def test_a_worker_registers_its_functions_and_answers_calls(reach: Reach) -> None:
    async with worker(reach, *PYTHON):
        await eventually(lambda: reach.connections.connected("py"))
        (app,) = reach.registered
        assert app["appName"] == "py"
        assert [each["id"] for each in app["functions"]] == ["py-greet", "py-stepped", "py-broken", "py-slow"]
        assert await reach.call("py", "greet") == Returned("Hello, world")
        planned = await reach.call("py", "stepped")
        assert isinstance(planned, Planned)
        assert planned.version == 2
        broken = await reach.call("py", "broken")
        assert isinstance(broken, Threw)
        assert broken.error["message"] == "never"
        # Longer than a lease lasts: the worker says that it is still at it.
        assert await reach.call("py", "slow") == Returned("at last")
    await eventually(lambda: not reach.connections.connected("py"))
