"""docs/examples/typescript and its twin in Python: the workflows of the documents, as a reader runs them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from psycopg import AsyncConnection

from cdc.client import Client
from tests.acceptance.state import follows
from tests.examples.conftest import EXAMPLES
from tests.sdk.apps import App, Program, Run, started
from tests.sdk.packages import PACKAGES, node
from tests.sdk.world import World
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

TABLES = "create table if not exists users (id bigint generated always as identity primary key, name text)"
FOLLOWED = """
    select output #>> '{}' from cdc_state.runs where function_id = 'n8n-clone-next-step' and status = 'completed'
"""


def program(version: str, folder: Path) -> Program:
    """The example with its packages beside it, as `npm install` puts them there."""
    if version == "python":
        return Program([sys.executable, "app.py"], EXAMPLES / "python_sdk")
    shutil.copytree(EXAMPLES / "typescript" / version, folder)
    for name in json.loads((folder / "package.json").read_text())["dependencies"]:
        installed = folder / "node_modules" / name
        installed.parent.mkdir(parents=True, exist_ok=True)
        installed.symlink_to(PACKAGES / (name.replace("inngest", f"inngest{version[1]}")))
    return Program([str(node()), "--import", "tsx", "app.ts"], folder)


@pytest_asyncio.fixture(params=["v3", "v4", "python"], loop_scope="session")
async def example(world: World, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[App]:
    key, provider = "sk-of-the-test", world.provider
    environment = {
        "OPENAI_API_KEY": key,
        "OPENAI_BASE_URL": provider.url,
        "ANTHROPIC_API_KEY": key,
        "ANTHROPIC_BASE_URL": provider.url if request.param != "python" else provider.root,
        "GOOGLE_GENERATIVE_AI_API_KEY": key,
        "GOOGLE_GENERATIVE_AI_BASE_URL": f"{provider.root}/v1beta",
        "GOOGLE_GEMINI_BASE_URL": provider.root,
    }
    files = program(request.param, tmp_path / "app")
    async with started(
        request.param, world.service.url, tmp_path / "effects", program=files, environment=environment
    ) as app:
        yield app


async def test_the_documents_workflows_run(example: App, world: World) -> None:
    async with await AsyncConnection.connect(world.database_url, autocommit=True) as conn:
        await prepare(conn)
        await example.sync()
        await rag(example, world)
        await models(example, world)
        if not example_in_python(example):
            await more_models(example, world)
        await row(example, conn)
        await approval(example)
        await limits(example)


def example_in_python(app: App) -> bool:
    return app.name == "python"


async def prepare(conn: AsyncConnection[Any]) -> None:
    """Tables to follow and to search in; the first example makes them for all."""
    await conn.execute(TABLES)
    if not await exists(conn, "documents"):
        for file in ("schema.sql", "documents.sql"):
            await conn.execute((EXAMPLES / "rag" / file).read_bytes())

    async def embedded() -> bool:
        if not await exists(conn, "documents_embeddings"):
            return False
        return await (await conn.execute("select count(*) from documents_embeddings")).fetchone() == (4,)

    await eventually(embedded, within=60, what="all documents are embedded")


async def exists(conn: AsyncConnection[Any], table: str) -> bool:
    found = await conn.execute("select to_regclass(%s) is not null", [table])
    return await found.fetchone() == (True,)


async def started_by(app: App, name: str, **data: Any) -> list[Run]:
    """The runs of an event, completed."""
    (event,) = await Client(app.service).send({"name": name, "data": data})
    runs = await app.runs(event)
    assert {run["status"] for run in runs} == {"completed"}, runs
    return runs


async def rag(app: App, world: World) -> None:
    world.provider.reset()
    world.provider.say_next("a cat sleeps", times=2)
    runs = await started_by(app, "chat.message", message="Where does a cat like to sleep?")
    assert {run["function_id"] for run in runs} == {"n8n-clone-rag-workflow", "n8n-clone-rag-workflow-offloaded"}
    for run in runs:
        assert run["output"]["page"] == "a cat sleeps"
        assert run["output"]["found"][0]["title"] == "Cats"
    assert world.provider.requests == 2


async def models(app: App, world: World) -> None:
    world.provider.reset()
    world.provider.say_next("4", times=3)
    (run,) = await started_by(app, "execute/ai", prompt="What is 2 + 2?")
    asked = [question.path.rpartition("/")[2] for question in world.provider.questions]
    assert [path in ("responses", "completions") for path in asked] == [False, True, False]
    assert (asked[0], asked[2]) == ("gemini-2.5-flash:generateContent", "messages")
    answers = [run["output"][name] for name in sorted(run["output"])]
    if example_in_python(app):
        assert answers == ["4", "4", "4"]
        return
    # As the AI SDK has them: its steps.
    assert [answer[0]["content"][-1]["text"] for answer in answers] == ["4", "4", "4"]
    async with httpx.AsyncClient(base_url=app.service, trust_env=False, timeout=60) as client:

        async def told() -> bool:
            steps = (await client.get(f"/v1/runs/{run['id']}")).json()["data"]["steps"]
            return [len(step["calls"]) for step in steps] == [1, 1, 1]

        await eventually(told, what="each call of a model stands at its step")


async def more_models(app: App, world: World) -> None:
    provider = world.provider
    provider.reset()
    provider.say_next("a poem")
    (run,) = await started_by(app, "content/generate", prompt="Write a poem.")
    assert run["output"]["content"][-1]["text"] == "a poem"
    ada = {"name": "Ada", "email": "ada@example.com", "age": 36}
    provider.say_next(json.dumps(ada))
    (run,) = await started_by(app, "data/extract", text="Ada, 36, ada@example.com")
    assert run["output"] == ada
    provider.say_next("one two three")
    (run,) = await started_by(app, "response/stream", prompt="count")
    assert run["output"] == {"text": "one two three"}
    provider.say_next("a story")
    provider.say_next("story")
    (run,) = await started_by(app, "text/summarize", text="a long story")
    assert run["output"] == {"summary": "a story", "keywords": "story"}


async def limits(app: App) -> None:
    (run,) = await started_by(app, "job/rate-limited", userId="u-1")
    assert run["output"] == "u-1"
    (run,) = await started_by(app, "job/throttled", number=7)
    assert run["output"] == 7


async def row(app: App, conn: AsyncConnection[Any]) -> None:
    await follows(conn, "users")
    inserted = await (await conn.execute("insert into users (name) values ('Ada') returning id")).fetchone()
    assert inserted is not None

    async def followed() -> bool:
        found = await conn.execute(FOLLOWED)
        return (f"{inserted[0]}: Hello, Ada!",) in await found.fetchall()

    await eventually(followed, within=60, what="the row has been greeted, and the next workflow run")


async def approval(app: App) -> None:
    client = Client(app.service)
    (event,) = await client.send({"name": "workflow/created", "data": {"workflowId": "w-1"}})
    await app.is_now(event, "waiting")
    await client.send({"name": "workflow/approved", "data": {"workflowId": "w-1", "by": "Grace"}})
    (run,) = await app.runs(event)
    assert run["output"] == {"workflow": "w-1", "approvedBy": "Grace"}
