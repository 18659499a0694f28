from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from enum import Enum
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import types
from pydantic import BaseModel

from cdc.ai.call import Usage
from cdc.ai.errors import ModelUnavailable
from cdc.ai.observe import captured, dump, observed, restore
from tests.ai.conftest import KEY
from tests.ai_server import AIServer

QUESTION: Any = [{"role": "user", "content": "two words"}]
ANSWER = "You said: two words"
COUNTED = {"input": 1000, "output": 300, "cached": 600, "reasoning": 100}


class Person(BaseModel):
    name: str
    tags: list[str]


class Clients:
    """The three packages, as an author uses them."""

    def __init__(self, server: AIServer) -> None:
        options = types.HttpOptions(base_url=server.root)
        self.openai = openai.AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=0)
        self.anthropic = anthropic.AsyncAnthropic(api_key=KEY, base_url=server.root, max_retries=0)
        self.gemini = genai.Client(api_key=KEY, http_options=options)
        self.blocking_openai = openai.OpenAI(api_key=KEY, base_url=server.url, max_retries=0)
        self.blocking_anthropic = anthropic.Anthropic(api_key=KEY, base_url=server.root, max_retries=0)

    async def close(self) -> None:
        await self.openai.close()
        await self.anthropic.close()
        await self.gemini.aio.aclose()
        self.gemini.close()
        self.blocking_openai.close()
        self.blocking_anthropic.close()


@pytest_asyncio.fixture
async def clients(server: AIServer) -> AsyncIterator[Clients]:
    opened = Clients(server)
    yield opened
    await opened.close()


Call = Callable[[Clients], Awaitable[Any]]
Look = Callable[[Any], Any]

_PERSON: Any = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Person)


def chat(clients: Clients, **options: Any) -> Awaitable[Any]:
    created: Awaitable[Any] = clients.openai.chat.completions.create(model="gpt-4o", messages=QUESTION, **options)
    return created


def message(clients: Clients, **options: Any) -> Awaitable[Any]:
    created: Awaitable[Any] = clients.anthropic.messages.create(
        model="claude-sonnet-5-5", max_tokens=10, messages=QUESTION, **options
    )
    return created


WHOLE: dict[str, tuple[Call, Look]] = {
    "chat": (chat, lambda got: got.choices[0].message.content),
    "response": (
        lambda clients: clients.openai.responses.create(model="gpt-4o", input="two words"),
        lambda got: got.output_text,
    ),
    "message": (message, lambda got: got.content[0].text),
    "content": (
        lambda clients: clients.gemini.aio.models.generate_content(model="gemini-2.5-flash", contents="two words"),
        lambda got: got.text,
    ),
}

PARSED: dict[str, tuple[Call, Look]] = {
    "chat": (
        lambda clients: clients.openai.chat.completions.parse(
            model="gpt-4o", messages=QUESTION, response_format=Person
        ),
        lambda got: got.choices[0].message.parsed,
    ),
    "response": (
        lambda clients: clients.openai.responses.parse(model="gpt-4o", input="two words", text_format=Person),
        lambda got: got.output_parsed,
    ),
    "message": (
        lambda clients: clients.anthropic.messages.parse(
            model="claude-sonnet-5-5", max_tokens=10, messages=QUESTION, output_format=Person
        ),
        lambda got: got.parsed_output,
    ),
    "content": (
        lambda clients: clients.gemini.aio.models.generate_content(
            model="gemini-2.5-flash", contents="two words", config=_PERSON
        ),
        lambda got: got.parsed,
    ),
}


async def _plain(make: Callable[[], Any]) -> Any:
    """What a blocking function returns, called where a step calls it."""
    return await asyncio.to_thread(make)


async def _at_once(value: Any) -> Any:
    return value


async def _own(clients: Clients) -> AsyncIterator[Any]:
    async for chunk in await chat(clients, stream=True, stream_options={"include_usage": True}):
        yield chunk


STREAMED: dict[str, tuple[Call, Look]] = {
    "chat": (
        lambda clients: chat(clients, stream=True, stream_options={"include_usage": True}),
        WHOLE["chat"][1],
    ),
    "chat, helper": (
        lambda clients: _at_once(
            clients.openai.chat.completions.stream(
                model="gpt-4o", messages=QUESTION, stream_options={"include_usage": True}
            )
        ),
        WHOLE["chat"][1],
    ),
    "chat, blocking": (
        lambda clients: _plain(
            lambda: clients.blocking_openai.chat.completions.create(
                model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
            )
        ),
        WHOLE["chat"][1],
    ),
    "chat, a generator of the author's": (lambda clients: _at_once(_own(clients)), WHOLE["chat"][1]),
    "response": (
        lambda clients: clients.openai.responses.create(model="gpt-4o", input="two words", stream=True),
        WHOLE["response"][1],
    ),
    "response, helper": (
        lambda clients: _at_once(clients.openai.responses.stream(model="gpt-4o", input="two words")),
        WHOLE["response"][1],
    ),
    "message": (lambda clients: message(clients, stream=True), WHOLE["message"][1]),
    "message, helper": (
        lambda clients: _at_once(
            clients.anthropic.messages.stream(model="claude-sonnet-5-5", max_tokens=10, messages=QUESTION)
        ),
        WHOLE["message"][1],
    ),
    "message, blocking helper": (
        lambda clients: _at_once(
            clients.blocking_anthropic.messages.stream(model="claude-sonnet-5-5", max_tokens=10, messages=QUESTION)
        ),
        WHOLE["message"][1],
    ),
    "content": (
        lambda clients: clients.gemini.aio.models.generate_content_stream(
            model="gemini-2.5-flash", contents="two words"
        ),
        WHOLE["content"][1],
    ),
    "content, blocking": (
        lambda clients: _plain(
            lambda: clients.gemini.models.generate_content_stream(model="gemini-2.5-flash", contents="two words")
        ),
        WHOLE["content"][1],
    ),
}

each_whole = pytest.mark.parametrize(("call", "look"), WHOLE.values(), ids=list(WHOLE))
each_parsed = pytest.mark.parametrize(("call", "look"), PARSED.values(), ids=list(PARSED))
each_streamed = pytest.mark.parametrize(("call", "look"), STREAMED.values(), ids=list(STREAMED))


def replayed(result: Any) -> Any:
    """What a handler gets on a replay: through the text of JSON and back."""
    return restore(json.loads(json.dumps(dump(result))))


@each_whole
async def test_a_result_is_observed(clients: Clients, server: AIServer, call: Call, look: Look) -> None:
    server.say_next("done", **COUNTED)
    result = await call(clients)
    seen = observed(result)
    assert seen is not None
    usage = seen.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (1000, 300, 1300)
    assert (usage.cached_tokens, usage.reasoning_tokens) == (600, 100)
    assert seen.model == (result.model_version if isinstance(result, types.GenerateContentResponse) else result.model)
    assert seen.text == look(result) == "done"
    assert seen.finish_reason in ("stop", "completed", "end_turn", "STOP")


@each_whole
async def test_its_json_is_observed_alike(clients: Clients, call: Call, look: Look) -> None:
    result = await call(clients)
    assert observed(result.model_dump(mode="json")) == observed(result)
    assert observed(result.model_dump(mode="json", by_alias=True)) == observed(result)


@each_whole
async def test_a_replay_has_the_same_object(clients: Clients, call: Call, look: Look) -> None:
    result = await call(clients)
    again = replayed(result)
    assert type(again) is type(result)
    assert look(again) == look(result) == ANSWER
    assert dump(again) == dump(result)
    assert observed(again) == observed(result)
    assert replayed(again) == again


@each_parsed
async def test_structured_output_is_of_the_authors_class_again(clients: Clients, call: Call, look: Look) -> None:
    result = await call(clients)
    again = replayed(result)
    assert look(again) == look(result) == Person(name="text", tags=["text"])
    assert type(again).__name__.partition("[")[0] == type(result).__name__.partition("[")[0]
    assert dump(again) == dump(result)


async def test_a_class_that_cannot_be_found_again_comes_back_as_json(clients: Clients) -> None:
    class Hidden(BaseModel):
        name: str

    result = await clients.openai.chat.completions.parse(model="gpt-4o", messages=QUESTION, response_format=Hidden)
    assert replayed(result).choices[0].message.parsed == {"name": "text"}


def test_only_the_packages_are_imported_for_a_dump() -> None:
    with pytest.raises(ValueError, match="no module of a provider's package"):
        restore({"$object": "antigravity:fly", "owned": [], "data": {}})
    mine = {"$object": "mine"}
    assert restore(mine) is mine


async def test_geminis_lists_and_enums_come_back(clients: Clients, server: AIServer) -> None:
    people: Any = types.GenerateContentConfig(response_mime_type="application/json", response_schema=list[Person])
    server.say_next('[{"name": "Ada", "tags": []}, {"name": "Alan", "tags": ["x"]}]')
    result = await clients.gemini.aio.models.generate_content(model="g", contents="two", config=people)
    assert replayed(result).parsed == [Person(name="Ada", tags=[]), Person(name="Alan", tags=["x"])]
    assert isinstance(replayed(result).candidates[0].finish_reason, Enum)


async def test_what_a_provider_adds_tomorrow_is_kept(clients: Clients, server: AIServer) -> None:
    server.send_next(b'{"object": "chat.completion", "choices": [], "of_tomorrow": {"a": 1}}')
    assert replayed(await chat(clients)).of_tomorrow == {"a": 1}


@each_streamed
async def test_a_stream_is_captured_whole(clients: Clients, server: AIServer, call: Call, look: Look) -> None:
    server.pause = 0.01
    got = await captured(await call(clients))
    assert got.streamed
    assert got.first_token is not None
    assert look(got.result) == ANSWER
    seen = observed(got.result)
    assert seen is not None
    assert seen.text == ANSWER
    assert seen.usage.total_tokens
    assert seen.finish_reason in ("stop", "completed", "end_turn", "STOP")
    again = replayed(got.result)
    assert look(again) == ANSWER
    assert dump(again) == dump(got.result)


@pytest.mark.parametrize("name", ["chat", "message", "content"])
async def test_a_stream_that_ends_too_early_is_no_answer(clients: Clients, server: AIServer, name: str) -> None:
    server.end_next(after=3)
    stream = await STREAMED[name][0](clients)
    with pytest.raises(ModelUnavailable, match="broke off"):
        await captured(stream)


async def test_the_first_token_is_timed_from_the_call_on(clients: Clients, server: AIServer) -> None:
    server.latency = 0.1
    began = time.perf_counter()
    stream = await chat(clients, stream=True)
    got = await captured(stream, began)
    assert got.first_token is not None
    assert 0.1 <= got.first_token <= time.perf_counter() - began


@each_whole
async def test_what_is_no_stream_is_left_alone(clients: Clients, call: Call, look: Look) -> None:
    result = await call(clients)
    assert await captured(result) == (result, None, False)


def _count() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize("result", [None, 1, "text", b"bytes", [1], {"a": 1}, Person(name="Ada", tags=[])])
async def test_other_values_are_none_of_our_business(result: Any) -> None:
    assert observed(result) is None
    assert dump(result) is None
    assert restore(result) is result
    assert (await captured(result)).result is result


async def test_another_generator_is_left_to_its_owner() -> None:
    generator = _count()
    assert (await captured(generator)).result is generator
    assert list(generator) == [1]


async def test_another_stream_becomes_a_list() -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    assert (await captured(numbers())).result == [0, 1, 2]


async def test_embeddings_are_observed(clients: Clients) -> None:
    result = await clients.openai.embeddings.create(model="text-embedding-3-small", input="two words")
    seen = observed(result)
    assert seen is not None
    assert (seen.operation, seen.usage) == ("embeddings", Usage(3, total_tokens=3))
    assert replayed(result).data[0].embedding == result.data[0].embedding
