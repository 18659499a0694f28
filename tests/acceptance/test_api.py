"""The HTTP API, and the commands that only look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cdc.cli import main
from tests.acceptance.authored import WELCOME
from tests.acceptance.conftest import Write
from tests.acceptance.service import Service, cdc, running
from tests.acceptance.state import USERS, completed
from tests.ports import free_port
from tests.servers import Connect
from tests.waiting import eventually

COMMANDS = (
    *("run", "demo", "embed", "unembed", "search", "send", "runs", "events", "replay", "cancel"),
    *("pause", "resume", "invoke", "signal", "functions", "slot", "health"),
)


async def test_the_api_tells_what_happened(connect: Connect, database_url: str, functions: Path, write: Write) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(USERS)
    port = str(free_port())
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions, CDC_PORT=port) as service:
        await conn.execute("insert into users (name) values ('Ada')")
        (run,) = await completed(conn)

        assert await answer(service, "/livez") == (200, {"live": True})
        assert await answer(service, "/readyz") == (200, {"ready": True, "listening": True})

        code, status = await answer(service, "/v1/status")
        assert code == 200
        assert status["listening"] is True
        assert status["publication"] == "cdc"
        assert status["slot"] == database_url.rpartition("/")[2]
        assert status["runs"] == {}

        _, events = await answer(service, "/v1/events")
        (event,) = events["data"]
        assert event["name"] == "db/users.inserted"
        assert event["data"]["new"] == {"id": 1, "name": "Ada"}

        _, listed = await answer(service, "/v1/runs")
        assert [(each["id"], each["status"]) for each in listed["data"]] == [(run.id, "completed")]
        _, one = await answer(service, f"/v1/runs/{run.id}")
        assert one["data"]["output"] == run.output
        assert [(step["id"], step["kind"]) for step in one["data"]["steps"]] == [
            ("greet", "run"),
            ("wait-before-tips", "sleep"),
            ("tips", "run"),
        ]

        assert (await answer(service, "/v1/runs/00000000-0000-7000-8000-000000000000"))[0] == 404
        assert (await answer(service, "/v1/runs/nonsense"))[0] == 404
        assert (await answer(service, "/v1/runs?limit=0"))[0] == 400

        assert (await service.get("/livez", host="rebound.example.com")).status_code == 400
        assert (await service.get("/livez", host="localhost:8288")).status_code == 200

        await is_healthy(port)
    assert await health(port) == (1, "not running\n")


async def test_a_service_that_stands_by_is_ready_and_says_that_it_does_not_listen(database_url: str) -> None:
    async with running(DATABASE_URL=database_url), running(DATABASE_URL=database_url) as second:
        await second.logs("standing by")
        assert await answer(second, "/readyz") == (200, {"ready": True, "listening": False})
        await is_healthy(second.url.rpartition(":")[2])


async def test_help_lists_every_command() -> None:
    done = await cdc("--help")
    assert (done.code, done.err) == (0, "")
    assert set(COMMANDS) <= set(done.out.split())


@pytest.mark.parametrize("command", [*COMMANDS, "slot status", "slot drop"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: cdc {command}")


async def test_a_command_that_is_unknown_is_told_with_those_there_are() -> None:
    done = await cdc("rum")
    assert done.code == 64
    assert "run" in done.err
    assert "Traceback" not in done.err


async def answer(service: Service, path: str) -> tuple[int, Any]:
    response = await service.get(path)
    return response.status_code, response.json()


async def is_healthy(port: str) -> None:
    """Wait for that: the command gives a service that stands still five seconds only."""

    async def is_so() -> bool:
        return await health(port) == (0, "ready\n")

    await eventually(is_so)


async def health(port: str) -> tuple[int, str]:
    """What `cdc health` says and how it ends."""
    done = await cdc("health", CDC_PORT=port)
    assert done.err == ""
    return done.code, done.out
