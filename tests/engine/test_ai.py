"""Inferences: a run waits for a model without memory, and many wait at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel

from cdc import Context, StepError, function
from cdc.ai.access import Access
from cdc.ai.infer import Models
from cdc.ai.providers import anthropic, gemini, openai
from cdc.cli import showing
from cdc.engine import claims, inferring
from cdc.events.hands import Hands
from cdc.store import looking, workers
from tests.ai_server import AIServer
from tests.engine.harness import Engine
from tests.servers import Connection
from tests.waiting import eventually

MODEL = "openai/gpt-4o"
PACKAGES = (openai, anthropic, gemini)
"""Their import takes a while, which is no part of these tests."""


class Mood(BaseModel):
    word: str
    strength: int


@pytest.fixture
async def provider() -> AsyncIterator[AIServer]:
    async with AIServer() as provider:
        yield provider


@pytest.fixture
async def models(provider: AIServer) -> AsyncIterator[Models]:
    models = Models(
        {
            "openai": Access("key", provider.url),
            "anthropic": Access("key", provider.root),
            "gemini": Access("key", provider.root),
        }
    )
    yield models
    await models.close()


@pytest.fixture
async def engine(engine: Engine, models: Models) -> Engine:
    engine.models = models
    return engine


@pytest.fixture
async def live_engine(live_engine: Engine, models: Models) -> Engine:
    live_engine.models = models
    return live_engine


async def calls(conn: Connection) -> list[dict[str, Any]]:
    cursor = await conn.execute(
        "select step_id, attempt, function_id, operation, provider, model, response_model, input_tokens, output_tokens,"
        " streamed, cost, finish_reason, error from cdc_state.ai_calls order by step_id, id"
    )
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()]


async def waiting(conn: Connection) -> int:
    ((count,),) = await (await conn.execute("select count(*) from cdc_state.inferences")).fetchall()
    return int(count)


async def test_the_text_of_an_answer_reaches_the_handler(engine: Engine, provider: AIServer) -> None:
    provider.say_next("a rose", input=1000, output=20)

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="What is it?", system="Be short.", temperature=0)

    async with engine.working(ask) as worker:
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()
        await eventually(lambda: worker.in_flight == 0)

    assert (run["status"], run["output"]) == ("completed", "a rose")
    assert provider.requests == 1
    assert provider.questions[0].body == {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "What is it?"}],
        "temperature": 0,
    }
    (call,) = await calls(engine.conn)
    assert (call["step_id"], call["attempt"], call["function_id"]) == ("say", 1, "ask")
    assert (call["provider"], call["model"], call["error"]) == ("openai", "gpt-4o", None)
    assert (call["input_tokens"], call["output_tokens"]) == (1000, 20)
    assert call["cost"] > 0
    assert await waiting(engine.conn) == 0
    step = (await engine.steps())["say"]
    assert (step["kind"], step["attempts"], step["data"], step["ended"]) == ("infer", 1, "a rose", True)


async def test_a_body_is_answered_with_the_providers_own_json(engine: Engine, provider: AIServer) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> dict[str, Any]:
        return await ctx.step.ai.infer("say", model="anthropic/claude-haiku-4-5", body=body)

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"]["type"] == "message"
    assert run["output"]["content"][0]["text"] == "You said: Hi"


async def test_an_answer_is_an_object_of_the_model_class_live_and_replayed(engine: Engine, provider: AIServer) -> None:
    seen: list[Mood] = []
    provider.say_next('{"word": "calm", "strength": 3}')

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> None:
        mood = await ctx.step.ai.infer("mood", model=MODEL, prompt="The sea.", output=Mood)
        await ctx.step.sleep("rest", 0)
        seen.append(mood)

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        await engine.ended(hurried=True)

    assert seen == [Mood(word="calm", strength=3)]


async def test_an_answer_that_does_not_fit_is_asked_for_again(engine: Engine, provider: AIServer) -> None:
    provider.say_next('{"word": "calm"}')
    provider.say_next('{"word": "calm", "strength": 2}')

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> int:
        return (await ctx.step.ai.infer("mood", model=MODEL, prompt="The sea.", output=Mood)).strength

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == 2
    assert [(call["attempt"], call["error"]) for call in await calls(engine.conn)] == [(1, "OutputInvalid"), (2, None)]


async def test_a_class_that_is_found_nowhere_is_checked_by_its_step(engine: Engine, provider: AIServer) -> None:
    class Local(BaseModel):
        word: str

    provider.say_next('{"other": 1}')

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        try:
            await ctx.step.ai.infer("mood", model=MODEL, prompt="The sea.", output=Local)
        except StepError as error:
            return error.name
        return ""

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == "OutputInvalid"


async def test_a_streamed_answer_is_captured_whole(engine: Engine, provider: AIServer) -> None:
    provider.say_next("one two three")

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model="gemini/gemini-2.5-flash", prompt="Count.", stream=True)

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == "one two three"
    (call,) = await calls(engine.conn)
    assert call["streamed"]


async def test_a_failed_call_is_made_again_and_each_is_kept(engine: Engine, provider: AIServer) -> None:
    provider.refuse_next(500)
    provider.break_next()

    @function("ask", on="db/users.inserted", retries=2)
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="Hi")

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == "You said: Hi"
    kept = [(call["attempt"], call["error"]) for call in await calls(engine.conn)]
    assert kept == [(1, "ModelUnavailable"), (2, "ModelUnavailable"), (3, None)]
    assert (await engine.steps())["say"]["attempts"] == 3


async def test_the_next_attempt_waits_for_no_poll(
    live_engine: Engine, provider: AIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (claims, inferring):
        monkeypatch.setattr(module, "POLL", 3600.0)
    provider.refuse_next(429, headers={"retry-after": "0.5"})

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="Hi")

    async with live_engine.working(ask):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended()
    assert run["output"] == "You said: Hi"


async def test_it_waits_as_long_as_the_provider_asks(engine: Engine, provider: AIServer) -> None:
    provider.refuse_next(429, headers={"retry-after": "700"})

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="Hi")

    due = "select extract(epoch from due_at - now())::float8 from cdc_state.inferences where attempts = 1"
    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        found = await eventually(lambda: rows(engine.conn, due))
        assert 600 < found[0][0] <= 700
        await engine.hurry()
        (run,) = await engine.ended()
    assert run["output"] == "You said: Hi"


async def rows(conn: Connection, query: str) -> list[tuple[Any, ...]]:
    return await (await conn.execute(query.encode())).fetchall()


@pytest.mark.parametrize(("status", "name", "requests"), [(400, "InputRefused", 1), (503, "ModelUnavailable", 3)])
async def test_the_last_failure_is_raised_in_the_handler(
    engine: Engine, provider: AIServer, status: int, name: str, requests: int
) -> None:
    provider.refuse_next(status, 10)

    @function("ask", on="db/users.inserted", retries=2)
    async def ask(ctx: Context) -> str:
        try:
            return await ctx.step.ai.infer("say", model=MODEL, prompt="Hi")
        except StepError as error:
            return f"{error.step} {error.name}"

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == f"say {name}"
    assert provider.requests == requests
    assert [call["error"] for call in await calls(engine.conn)] == [name] * requests
    assert await waiting(engine.conn) == 0


async def test_a_call_that_takes_too_long_has_failed(engine: Engine, provider: AIServer) -> None:
    provider.latency = 60

    @function("ask", on="db/users.inserted", retries=0)
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="Hi", timeout="50ms")

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "failed"
    assert "ModelUnavailable" in run["error"]["message"]


@pytest.mark.parametrize("asked", [{"prompt": "Hi", "body": {}}, {}, {"prompt": "Hi", "timeout": "soon"}])
async def test_what_cannot_be_asked_fails_the_run_at_once(engine: Engine, provider: AIServer, asked: Any) -> None:
    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> Any:
        return await ctx.step.ai.infer("say", model=MODEL, **asked)

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert (run["status"], run["error"]["name"]) == ("failed", "NonRetriableError")
    assert "'say'" in run["error"]["message"]
    assert provider.requests == 0


async def test_several_models_are_asked_side_by_side(engine: Engine, provider: AIServer) -> None:
    provider.waits_for = lambda: provider.peak == 3
    models = (MODEL, "anthropic/claude-haiku-4-5", "gemini/gemini-2.5-flash")

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> list[str]:
        async def say(model: str) -> str:
            return await ctx.step.ai.infer("say", model=model, prompt=model)

        said = await ctx.group.parallel(partial(say, model) for model in models)
        other = await asyncio.gather(*(ctx.step.ai.infer("more", model=MODEL, prompt=text) for text in ("a", "b")))
        return [*said, *other]

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == [*(f"You said: {model}" for model in models), "You said: a", "You said: b"]
    assert provider.peak == 3
    assert provider.requests == 5


async def test_an_inference_beside_a_busy_branch_is_asked_meanwhile(engine: Engine, provider: AIServer) -> None:
    asked = asyncio.Event()

    async def wait_for_the_model() -> str:
        await eventually(lambda: provider.requests == 1)
        asked.set()
        return "body"

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> tuple[str, str]:
        return await asyncio.gather(
            ctx.step.ai.infer("say", model=MODEL, prompt="Hi"), ctx.step.run("body", wait_for_the_model)
        )

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == ["You said: Hi", "body"]
    assert asked.is_set()
    assert provider.requests == 1


async def test_a_cancelled_run_hangs_up(engine: Engine, provider: AIServer) -> None:
    provider.latency = 60

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="Hi")

    async with engine.working(ask) as worker:
        await engine.send("db/users.inserted", {})
        await eventually(lambda: provider.busy == 1)
        (run,) = await engine.runs()
        assert await Hands(engine.conn).cancel([run["id"]], "no more") == [run["id"]]
        assert await waiting(engine.conn) == 0
        engine.wake()
        await eventually(lambda: worker.inferring == 0)
        await engine.run_is("cancelled")


async def test_hundreds_wait_at_once_without_a_run_in_memory(live_engine: Engine, provider: AIServer) -> None:
    engine, count = live_engine, 500
    engine.inferences = count
    provider.latency = 600

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt=str(ctx.event.data["new"]["id"]))

    async with engine.working(ask, capacity=100, grace=0.1) as worker:
        await engine.send("db/users.inserted", *({"id": number} for number in range(count)))
        await eventually(lambda: provider.busy == count, within=120)
        assert worker.inferring == count
        await eventually(lambda: worker.in_flight == 0)
        assert await waiting(engine.conn) == count
    # What was under way is given back.
    assert await waiting(engine.conn) == count
    assert await rows(engine.conn, "select 1 from cdc_state.inferences where worker_id is not null") == []


async def test_what_a_lost_worker_was_asking_is_asked_by_another(engine: Engine, provider: AIServer) -> None:
    provider.latency = 60

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="Hi")

    async with engine.doomed(ask):
        await engine.send("db/users.inserted", {})
        await eventually(lambda: provider.busy == 1)
        await engine.run_is("waiting")
    provider.latency = 0
    async with engine.working(ask):
        ((worker_id,),) = await rows(engine.conn, "select min(id) from cdc_state.workers")
        await workers.leave(engine.conn, [worker_id], died=True)
        engine.wake()
        (run,) = await engine.ended()
    assert run["output"] == "You said: Hi"
    assert provider.requests == 2


async def test_what_is_asked_is_the_input_of_its_step(engine: Engine, provider: AIServer) -> None:
    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="Hi")

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        await engine.ended()

    ((given,),) = await rows(engine.conn, "select input from cdc_state.steps")
    assert given == {"model": MODEL, "body": {"messages": [{"role": "user", "content": "Hi"}]}}


async def test_content_that_is_dropped_is_nowhere_once_the_run_has_ended(engine: Engine, provider: AIServer) -> None:
    engine.keeps_content = False
    provider.answers = lambda _: "a secret answer"

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> int:
        answer = await ctx.step.ai.infer("say", model=MODEL, prompt="a secret question")
        await ctx.step.sleep("rest", 0)
        return len(answer)

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == len("a secret answer")
    for table in ("steps", "inferences", "ai_calls", "runs", "logs"):
        assert "secret" not in str(await rows(engine.conn, f"select * from cdc_state.{table}")), table


async def test_a_run_shows_what_was_asked_and_what_it_cost(engine: Engine, provider: AIServer) -> None:
    provider.refuse_next(500)
    provider.say_next("a rose", input=1000, output=20, model="nobody-knows")

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="What is it?")

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    shown = await looking.run(engine.conn, run["id"])
    assert shown is not None
    (step,) = shown["steps"]
    assert step["input"]["body"]["messages"][0]["content"] == "What is it?"
    failed, answered = step["calls"]
    assert (failed["error"], failed["cost"], failed["input_tokens"]) == ("ModelUnavailable", "unknown", None)
    assert (answered["response_model"], answered["input_tokens"], answered["cost"]) == ("nobody-knows", 1000, "unknown")
    table = showing.of_calls(shown["steps"])
    assert table is not None
    assert [*table.columns[3].cells] == ["unknown", "1000"]


async def test_an_answer_that_comes_after_the_lease_is_refused(engine: Engine, provider: AIServer) -> None:
    revoked = False
    provider.waits_for = lambda: revoked

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="Hi")

    async with engine.doomed(ask):
        await engine.send("db/users.inserted", {})
        await eventually(lambda: provider.busy == 1)
        await engine.run_is("waiting")
        ((worker_id,),) = await rows(engine.conn, "select id from cdc_state.workers")
        await workers.leave(engine.conn, [worker_id])
        revoked = True
        await eventually(lambda: provider.busy == 0)
        provider.say_next("the second answer")
        async with engine.working(ask):
            (run,) = await engine.ended()

    assert run["output"] == "the second answer"
    assert provider.requests == 2
    assert [call["attempt"] for call in await calls(engine.conn)] == [1]


async def test_an_answer_that_cannot_be_stored_harms_only_itself(engine: Engine, provider: AIServer) -> None:
    provider.answers = lambda question: question
    provider.waits_for = lambda: provider.peak == 3

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> list[str]:
        async def said(prompt: str) -> str:
            try:
                return await ctx.step.ai.infer(prompt, model=MODEL, prompt=prompt)
            except StepError as error:
                return error.message

        return await asyncio.gather(*(said(prompt) for prompt in ("a", "b", "c")))

    provider.say_next("odd", model="nobody\x00knows")
    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    (refused,) = (text for text in run["output"] if len(text) > 1)
    assert "cannot be stored" in refused
    assert len({text for text in run["output"] if len(text) == 1}) == 2


async def test_what_a_cancelled_run_was_told_is_dropped_with_it(engine: Engine, provider: AIServer) -> None:
    engine.keeps_content = False
    provider.say_next("a secret answer")

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> None:
        await ctx.step.ai.infer("say", model=MODEL, prompt="a secret question")
        await ctx.step.sleep("rest", "1h")

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        await engine.run_is("sleeping")
        (run,) = await engine.runs()
        assert "secret answer" in str(await rows(engine.conn, "select data from cdc_state.steps"))
        await Hands(engine.conn).cancel([run["id"]], "no more")

    assert "secret" not in str(await rows(engine.conn, "select * from cdc_state.steps"))
