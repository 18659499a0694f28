"""Steps that the service does: sleeping, waiting, invoking, asking models, fetching."""

from __future__ import annotations

import asyncio

import pytest

from cdc.client import Client
from tests.sdk.apps import App, fresh
from tests.sdk.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_run_sleeps_waits_and_is_cancelled(app: App) -> None:
    slept, waited, cancelled = fresh(), fresh(), fresh()
    sleeping = asyncio.create_task(app.output("sleeps", id=slept))
    waiting = await app.send("waits", id=waited)
    long = await app.send("cancels", id=cancelled)

    await app.is_now(waiting, "waiting")
    await app.is_now(long, "sleeping")
    for other in ("somebody else", waited):
        await app.send("answer", id=other, text="yes")
    for other in ("somebody else", cancelled):
        await app.send("cancel", id=other)

    (run,) = await app.runs(long)
    assert run["status"] == "cancelled"
    assert app.noted(cancelled) == ["began"]
    (run,) = await app.runs(waiting)
    assert run["output"] == {"answer": {"id": waited, "text": "yes"}, "none": None}

    assert await sleeping == "after"
    first, *_, last = [each["at"] for each in app.effects(slept)]
    assert 1_900 <= last - first < 60_000


async def test_functions_of_apps_and_of_the_service_invoke_each_other(app: App) -> None:
    output = await app.output("invokes", id=fresh(), native="cdc")
    assert (output["here"], output["there"]) == (8, 12)
    failed, unknown = output["errors"]
    assert "no number" in failed
    assert f"{app.name}-nobody" in unknown

    client = Client(app.service)
    (event,) = await client.send({"name": "native/asks", "data": {"app": app.name}})
    (run,) = await app.runs(event)
    assert run["output"] == {"doubled": 42}


async def test_the_service_asks_models(app: App, world: World) -> None:
    said = "You said: What is 2 + 2?"
    asked = len(world.provider.questions)
    assert await app.output("infers", id=fresh()) == [said, said, said]
    openai, anthropic, gemini = world.provider.questions[asked:]
    assert (openai.path, openai.headers["authorization"]) == ("/v1/chat/completions", "Bearer sk-of-the-test")
    assert (anthropic.path, anthropic.headers["x-api-key"]) == ("/v1/messages", "sk-of-the-test")
    assert gemini.path == "/v1beta/models/gemini-2.5-flash:generateContent"


async def test_what_only_typescript_has(typescript: App) -> None:
    app, wrapped, fetched, signalled = typescript, fresh(), fresh(), fresh()
    waiting = await app.send("signalled", id=signalled)
    outputs = await asyncio.gather(app.output("wraps", id=wrapped), app.output("fetches", id=fetched))
    assert outputs[0] == {"text": "say it"}
    assert app.noted(wrapped) == ["say it"]
    assert outputs[1] == {"status": 418, "body": {"given": {"id": fetched}, "header": fetched}, "type": "yes"}

    await app.is_now(waiting, "waiting")
    await app.output("signals", id=signalled)
    (run,) = await app.runs(waiting)
    assert run["output"] == {
        "signal": {"signal": f"{app.name}-{signalled}", "data": {"said": "go"}},
        "none": None,
    }
