"""docs/examples/execute_ai.py: three providers through their own packages."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cdc import Client, Event
from tests.acceptance.service import Service, Settings, started
from tests.acceptance.state import completed, runs
from tests.ai_server import AIServer
from tests.servers import Connect, Connection
from tests.waiting import eventually

CALLS = ["completions", "gemini-2.5-flash:generateContent", "messages"]
"""How the paths of their APIs end."""

CALLED = "select provider, input_tokens > 0, output_tokens > 0, cost > 0 from cdc_state.ai_calls"


@pytest.fixture
async def service(
    examples: Path, tmp_path: Path, database_url: str, provider: AIServer, keys: Settings
) -> AsyncIterator[Service]:
    shutil.copy(examples / "execute_ai.py", tmp_path)
    async with started(DATABASE_URL=database_url, CDC_FUNCTIONS=tmp_path, **keys) as service:
        await service.logs("api", within=90)  # three packages are loaded, by two processes
        yield service
        await service.stop()


@pytest.fixture
async def conn(connect: Connect, database_url: str) -> Connection:
    return await connect(database_url)


async def output(conn: Connection, service: Service, name: str, **data: Any) -> Any:
    """What the run of an event returned."""
    before = len(await runs(conn))
    await Client(service.url).send(Event(name, data))
    return (await completed(conn, before + 1))[-1].output


def paths(provider: AIServer) -> list[str]:
    return [question.path.rpartition("/")[2] for question in provider.questions]


async def test_three_providers_are_asked_one_after_the_other_and_in_parallel(
    service: Service, conn: Connection, provider: AIServer
) -> None:
    for name in ("execute/ai", "execute/ai.in-parallel"):
        provider.reset()
        provider.say_next("4", times=3)
        assert await output(conn, service, name) == {"gemini": "4", "openai": "4", "anthropic": "4"}
        assert sorted(paths(provider)) == CALLS

    providers = ["anthropic", "anthropic", "gemini", "gemini", "openai", "openai"]

    async def written_down() -> bool:
        calls = await conn.execute(CALLED)
        return sorted(await calls.fetchall()) == [(name, True, True, True) for name in providers]

    # Beside the runs: a run may have ended by then.
    await eventually(written_down, what="all calls are written down")

    # What was answered before a call fails is not asked for again.
    provider.reset()
    provider.say_next("4")
    provider.refuse_next(503, times=3)  # the package itself asks three times
    provider.say_next("4", times=2)
    assert await output(conn, service, "execute/ai") == {"gemini": "4", "openai": "4", "anthropic": "4"}
    assert [paths(provider).count(call) for call in CALLS] == [4, 1, 1]


async def test_an_object_a_stream_and_a_chain(service: Service, conn: Connection, provider: AIServer) -> None:
    provider.say_next('{"name": "Ada", "email": "ada@example.com", "age": 36}')
    ada = {"name": "Ada", "email": "ada@example.com", "age": 36}
    assert await output(conn, service, "data/extract", text="Ada, 36, ada@example.com") == ada

    provider.say_next("one two three")
    assert await output(conn, service, "response/stream", prompt="count") == "one two three"

    provider.reset()
    provider.say_next("a story")
    provider.say_next("story")
    found = await output(conn, service, "text/summarize", text="a long story")
    assert found == {"summary": "a story", "keywords": "story"}
    assert "Extract keywords from: a story" in str(provider.questions[-1].body)
