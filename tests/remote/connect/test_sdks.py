"""Workers of the SDKs themselves."""

from __future__ import annotations

import pytest

from cdc.remote.answer import Planned, Returned, Threw
from cdc.remote.connect.asked import Asked
from tests.remote.connect.conftest import Reach
from tests.remote.connect.workers import WORKERS, worker
from tests.waiting import eventually


@pytest.mark.parametrize("app", WORKERS)
async def test_a_worker_registers_its_functions_and_answers_calls(
    reach: Reach, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extended: list[str] = []
    extend = Asked.extend

    def noted(asked: Asked) -> str | None:
        extended.append(asked.request_id)
        return extend(asked)

    monkeypatch.setattr(Asked, "extend", noted)
    async with worker(app, reach.url):
        await eventually(lambda: reach.connections.connected(app))
        said = reach.registered[-1]  # of those of one that stood still, and so connected once more
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
        assert await reach.call(app, "slow") == Returned("at last")
        assert extended, "the worker says that it is still at it"
    await eventually(lambda: not reach.connections.connected(app))
