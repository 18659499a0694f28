"""Durable endpoints of version 4 for TypeScript: runs that begin in a request to the app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.sdk.apps import App, Program, fresh, started
from tests.sdk.packages import FOLDER, node
from tests.sdk.world import World
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def endpoints(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    program = Program([str(node()), "--import", "tsx", "endpoints.ts"], FOLDER)
    folder = tmp_path_factory.mktemp("endpoints")
    async with started("js4", world.service.url, folder / "effects", name="endpoints", program=program) as app:
        yield app


async def asked(app: App, path: str, id: str) -> httpx.Response:
    """The answer of an endpoint, wherever its caller is sent."""
    async with httpx.AsyncClient(trust_env=False, timeout=60, follow_redirects=True) as client:
        return await client.get(f"http://127.0.0.1:{app.port}{path}", params={"id": id})


async def the_run(app: App, name: str) -> dict[str, Any]:
    """The latest run of an endpoint, once it has completed."""
    async with httpx.AsyncClient(base_url=app.service, trust_env=False, timeout=30) as client:
        chosen = {"function": f"127.0.0.1:{app.port}-{name}", "status": "completed"}

        async def completed() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await client.get("/v1/runs", params=chosen)).json()["data"]
            return found

        (run, *_) = await eventually(completed, what=f"a run of {name} has completed")
        told: dict[str, Any] = (await client.get(f"/v1/runs/{run['id']}")).json()["data"]
    return told


async def test_an_endpoint_without_waits_is_answered_at_once_and_its_steps_are_kept(endpoints: App) -> None:
    mine = fresh()
    answer = await asked(endpoints, "/inline", mine)
    assert (answer.status_code, answer.json(), answer.history) == (200, {"id": mine, "two": 2}, [])
    assert endpoints.noted(mine) == ["one", "two"]
    run = await the_run(endpoints, "GET-inline")
    assert [(step["id"], step["data"]) for step in run["steps"]] == [("one", 1), ("two", 2)]


async def test_the_caller_of_an_endpoint_that_waits_is_sent_to_its_answer(endpoints: App) -> None:
    mine = fresh()
    answer = await asked(endpoints, "/sleeps", mine)
    assert (answer.status_code, answer.json()) == (200, {"id": mine, "both": [2, 3]})
    assert [each.status_code for each in answer.history] == [302]
    assert str(answer.url).startswith(endpoints.service)
    assert endpoints.noted(mine) == ["one", "b"]


async def test_a_step_of_an_endpoint_that_fails_is_tried_again_from_here(endpoints: App) -> None:
    mine = fresh()
    answer = await asked(endpoints, "/fails", mine)
    assert (answer.status_code, answer.text) == (200, f"done for {mine}")
    assert endpoints.noted(mine) == ["tried", "tried"]
    (step,) = (await the_run(endpoints, "GET-fails"))["steps"]
    assert (step["id"], step["data"]) == ("tries", "done")
    assert [attempt["error"] and attempt["error"]["message"] for attempt in step["attempts"]] == ["not yet", None]
