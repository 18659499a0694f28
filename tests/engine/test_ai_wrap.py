"""Calls that an author makes with a provider's own package: kept whole, as the objects that they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from pydantic import BaseModel

from cdc import Context, StepError, function
from tests.ai_server import AIServer
from tests.engine.harness import Engine
from tests.engine.test_ai import Mood, calls, provider, rows
from tests.waiting import eventually

__all__ = ["provider"]


class Draft(BaseModel):
    text: str


@pytest.fixture
async def client(provider: AIServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="key", base_url=provider.url, max_retries=0) as client:
        yield client


ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}


async def test_an_answer_is_the_same_object_live_and_replayed(
    engine: Engine, provider: AIServer, client: openai.AsyncOpenAI
) -> None:
    seen: list[Any] = []
    provider.say_next("a rose", input=1000, output=20, cached=500)

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str | None:
        answer = await ctx.step.ai.wrap("say", client.chat.completions.create, **ASKED)
        seen.append(answer)
        await ctx.step.sleep("rest", 0)
        return answer.choices[0].message.content

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == "a rose"
    assert provider.requests == 1
    assert {type(answer) for answer in seen} == {openai.types.chat.ChatCompletion}
    assert len({answer.model_dump_json() for answer in seen}) == 1
    (call,) = await calls(engine.conn)
    assert (call["step_id"], call["attempt"], call["function_id"]) == ("say", 1, "ask")
    assert (call["provider"], call["model"], call["operation"]) == ("openai", "gpt-4o", "chat")
    assert (call["input_tokens"], call["output_tokens"], call["finish_reason"]) == (1000, 20, "stop")
    assert call["cost"] > 0
    ((kind, given),) = await rows(engine.conn, "select kind, input from cdc_state.steps where id = 'say'")
    assert (kind, given) == ("wrap", ASKED)


async def test_a_stream_is_the_whole_answer(engine: Engine, provider: AIServer, client: openai.AsyncOpenAI) -> None:
    provider.say_next("one two three")

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> str:
        answer: Any = await ctx.step.ai.wrap("say", client.chat.completions.create, stream=True, **ASKED)
        return str(answer.choices[0].message.content)

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == "one two three"
    (call,) = await calls(engine.conn)
    assert call["streamed"]
    assert call["cost"] is None, "the provider was not asked for the usage of a stream"


async def test_plain_methods_and_other_packages_are_wrapped_alike(engine: Engine, provider: AIServer) -> None:
    asks = anthropic.Anthropic(api_key="key", base_url=provider.root, max_retries=0)
    gemini = genai.Client(vertexai=False, api_key="key", http_options=types.HttpOptions(base_url=provider.root))
    seen: set[type] = set()

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> list[Any]:
        first = await ctx.step.ai.wrap(
            "claude",
            asks.messages.create,
            model="claude-haiku-4-5",
            max_tokens=10,
            messages=[{"role": "user", "content": "a"}],
        )
        second = await ctx.step.ai.wrap(
            "gemini", gemini.models.generate_content, model="gemini-2.5-flash", contents="b"
        )
        seen.update((type(first), type(second)))
        return [getattr(first.content[0], "text", None), second.text]

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()
    asks.close()
    gemini.close()

    assert run["error"] is None
    assert run["output"] == ["You said: a", "You said: b"]
    assert seen == {anthropic.types.Message, types.GenerateContentResponse}
    told = [(call["provider"], call["model"]) for call in await calls(engine.conn)]
    assert told == [("anthropic", "claude-haiku-4-5"), ("gemini", "gemini-2.5-flash")]


async def test_a_function_of_ones_own_returns_what_it_declares(engine: Engine, client: openai.AsyncOpenAI) -> None:
    seen: list[Any] = []

    async def draft(subject: str, client: openai.AsyncOpenAI) -> Draft:
        answer = await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": subject}])
        return Draft(text=answer.choices[0].message.content or "")

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> None:
        seen.append(await ctx.step.ai.wrap("draft", draft, "roses", client=client))

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        await engine.ended()

    assert seen[-1] == Draft(text="You said: roses")
    (call,) = await calls(engine.conn)
    assert (call["provider"], call["model"], call["cost"]) == ("unknown", "unknown", None)
    ((given,),) = await rows(engine.conn, "select input from cdc_state.steps")
    assert given == {"args": ["roses"], "client": "<AsyncOpenAI>"}


async def test_a_failed_call_is_made_again_when_the_provider_says(
    engine: Engine, provider: AIServer, client: openai.AsyncOpenAI
) -> None:
    provider.refuse_next(429, headers={"retry-after": "700"})
    provider.refuse_next(500)

    @function("ask", on="db/users.inserted", retries=2)
    async def ask(ctx: Context) -> str | None:
        answer = await ctx.step.ai.wrap("say", client.chat.completions.create, **ASKED)
        return answer.choices[0].message.content

    pause = "select extract(epoch from wake_at - now())::float8 from cdc_state.steps where attempts = 1"
    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        pauses = await eventually(lambda: rows(engine.conn, pause))
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == "You said: Hi"
    assert 600 < pauses[0][0] <= 700
    kept = [(call["provider"], call["attempt"], call["error"]) for call in await calls(engine.conn)]
    assert kept == [("openai", 1, "RateLimitError"), ("openai", 2, "InternalServerError"), ("openai", 3, None)]


async def test_the_last_failure_is_raised_with_its_name(
    engine: Engine, provider: AIServer, client: openai.AsyncOpenAI
) -> None:
    provider.refuse_next(400)

    @function("ask", on="db/users.inserted", retries=0)
    async def ask(ctx: Context) -> str:
        try:
            await ctx.step.ai.wrap("say", client.chat.completions.create, **ASKED)
        except StepError as error:
            return error.name
        return ""

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["output"] == "BadRequestError"
    assert [call["error"] for call in await calls(engine.conn)] == ["BadRequestError"]


async def test_within_bounds_a_wrapped_call(engine: Engine, provider: AIServer, client: openai.AsyncOpenAI) -> None:
    provider.latency = 60

    @function("ask", on="db/users.inserted", retries=0)
    async def ask(ctx: Context) -> None:
        await ctx.step.within("50ms").ai.wrap("say", client.chat.completions.create, **ASKED)

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert "TimeoutError" in run["error"]["message"]
    assert [call["error"] for call in await calls(engine.conn)] == ["TimeoutError"]


async def test_structured_output_is_parsed_again_on_replay(
    engine: Engine, provider: AIServer, client: openai.AsyncOpenAI
) -> None:
    seen: list[Any] = []
    provider.say_next('{"word": "calm", "strength": 3}')

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> None:
        answer = await ctx.step.ai.wrap("mood", client.chat.completions.parse, response_format=Mood, **ASKED)
        await ctx.step.sleep("rest", 0)
        seen.append(answer.choices[0].message.parsed)

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        await engine.ended(hurried=True)

    assert seen == [Mood(word="calm", strength=3)]
    ((given,),) = await rows(engine.conn, "select input from cdc_state.steps where id = 'mood'")
    assert given["response_format"] == "<Mood>"


async def test_content_that_is_dropped_is_nowhere_once_the_run_has_ended(
    engine: Engine, provider: AIServer, client: openai.AsyncOpenAI
) -> None:
    engine.keeps_content = False
    provider.say_next("a secret answer")
    question: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "a secret question"}]}

    @function("ask", on="db/users.inserted")
    async def ask(ctx: Context) -> int:
        answer = await ctx.step.ai.wrap("say", client.chat.completions.create, **question)
        await ctx.step.sleep("rest", 0)
        return len(answer.choices[0].message.content or "")

    async with engine.working(ask):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == len("a secret answer")
    for table in ("steps", "ai_calls", "runs", "logs"):
        assert "secret" not in str(await rows(engine.conn, f"select * from cdc_state.{table}")), table
