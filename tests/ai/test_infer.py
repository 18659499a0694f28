from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

from cdc.ai.access import Access
from cdc.ai.call import Answer, Call, Usage
from cdc.ai.errors import ModelUnavailable, OutputInvalid
from cdc.ai.infer import Models, body_for, parsed
from cdc.ai.models import parse
from cdc.ai.spans import traced
from cdc.errors import ConfigurationError
from tests.ai.conftest import KEY
from tests.ai_server import AIServer

OPENAI, ANTHROPIC, GEMINI = "openai/gpt-4o", "anthropic/claude-sonnet-5-5", "gemini/gemini-2.5-flash"

each_model = pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, GEMINI])
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])

BODIES: list[tuple[str, dict[str, Any]]] = [
    (OPENAI, {"messages": [{"role": "user", "content": "two words"}]}),
    (OPENAI, {"input": "two words"}),
    (ANTHROPIC, {"max_tokens": 100, "messages": [{"role": "user", "content": "two words"}]}),
    (GEMINI, {"contents": [{"role": "user", "parts": [{"text": "two words"}]}]}),
    (GEMINI, {"contents": "two words", "config": {"temperature": 0.5}}),
]
each_body = pytest.mark.parametrize(("model", "body"), BODIES, ids=["chat", "responses", "messages", "REST", "package"])


class Person(BaseModel):
    name: str
    age: int | None = None
    languages: list[str]


@each_body
@streamed_or_not
async def test_a_body_of_the_providers_own_is_answered(
    models: Models, model: str, body: dict[str, Any], stream: bool
) -> None:
    answer = await models.infer(model, body | {"stream": stream}, timeout=60)
    assert answer.text == "You said: two words"
    assert answer.call.streamed is stream
    assert answer.call.provider == parse(model).provider
    assert (answer.call.model, answer.call.response_model) == (parse(model).id, parse(model).id)


@each_body
async def test_a_streamed_answer_is_the_one_that_was_not_streamed(
    models: Models, model: str, body: dict[str, Any]
) -> None:
    whole = await models.infer(model, body, timeout=60)
    streamed = await models.infer(model, body | {"stream": True}, timeout=60)
    assert streamed.call.usage == whole.call.usage
    assert streamed.call.cost == whole.call.cost
    assert streamed.call.finish_reason == whole.call.finish_reason
    assert without_nothing(streamed.body) == without_nothing(whole.body)


def without_nothing(value: Any) -> Any:
    """JSON without null and empty lists, which streams leave out."""
    if isinstance(value, dict):
        kept = {name: without_nothing(inner) for name, inner in value.items()}
        return {name: inner for name, inner in kept.items() if inner not in (None, [])}
    return [without_nothing(inner) for inner in value] if isinstance(value, list) else value


@each_model
@streamed_or_not
async def test_tokens_are_counted_alike_by_all(models: Models, server: AIServer, model: str, stream: bool) -> None:
    server.say_next("done", input=1000, output=300, cached=600, reasoning=100)
    answer = await models.infer(model, body_for(model, "hello", stream=stream), timeout=60)
    usage = answer.call.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (1000, 300, 1300)
    assert (usage.cached_tokens, usage.reasoning_tokens) == (600, 100)


async def test_what_anthropic_writes_to_its_cache_is_part_of_the_input(models: Models, server: AIServer) -> None:
    server.say_next("done", input=1000, output=100, cached=500, written=100)
    # $3 a million of input, $3.75 written to the cache, $0.30 read from it, $15 of output.
    answer = await models.infer("anthropic/claude-sonnet-4-5", body_for(ANTHROPIC, "hello"), timeout=60)
    assert answer.body["usage"]["input_tokens"] == 400
    assert answer.call.usage == Usage(1000, 100, 1100, 500, 100)
    assert answer.call.cost == Decimal("0.003225")


async def test_a_model_without_a_price_has_no_cost(models: Models) -> None:
    answer = await models.infer("openai/a-model-of-mine", body_for(OPENAI, "hello"), timeout=60)
    assert answer.call.usage.total_tokens
    assert answer.call.cost is None


@each_model
async def test_the_first_token_is_timed(models: Models, server: AIServer, model: str) -> None:
    await models.infer(model, body_for(model, "warm up"), timeout=60)
    server.pause = 0.05
    call = (await models.infer(model, body_for(model, "one two three four", stream=True), timeout=60)).call
    assert call.first_token is not None
    assert 0.05 <= call.first_token < call.latency


async def test_usage_is_asked_for_and_other_stream_options_stay(models: Models, server: AIServer) -> None:
    body = body_for(OPENAI, "hello", stream=True, stream_options={"include_obfuscation": False})
    await models.infer(OPENAI, body, timeout=60)
    assert server.questions[0].body["stream_options"] == {"include_usage": True, "include_obfuscation": False}


@each_model
async def test_the_key_is_sent_as_the_provider_wants_it(server: AIServer, models: Models, model: str) -> None:
    await models.infer(model, body_for(model, "hello"), timeout=60)
    header = "x-goog-api-key" if model == GEMINI else "authorization"
    assert server.questions[0].headers[header].removeprefix("Bearer ") == KEY


async def test_what_is_newer_than_the_package_is_sent_all_the_same(server: AIServer, models: Models) -> None:
    for model in (OPENAI, ANTHROPIC):
        await models.infer(model, body_for(model, "hello", of_tomorrow={"a": 1}), timeout=60)
        assert server.questions[-1].body["of_tomorrow"] == {"a": 1}


@each_model
@streamed_or_not
async def test_the_neutral_form_says_the_same_to_all(
    server: AIServer, models: Models, model: str, stream: bool
) -> None:
    messages = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    body = body_for(
        model, "three", "be brief", messages, max_tokens=50, temperature=0.5, top_p=0.9, stop="END", stream=stream
    )
    assert (await models.infer(model, body, timeout=60)).text == "You said: three"
    assert told(model, server.questions[0].body) == {
        "system": "be brief",
        "turns": ["one", "two", "three"],
        "max_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": "END",
    }


def told(model: str, body: dict[str, Any]) -> dict[str, Any]:
    """A request of each provider, in one form."""
    if model == GEMINI:
        config = body["generationConfig"]
        return {
            "system": body["systemInstruction"]["parts"][0]["text"],
            "turns": [turn["parts"][0]["text"] for turn in body["contents"]],
            "max_tokens": config["maxOutputTokens"],
            "temperature": config["temperature"],
            "top_p": config["topP"],
            "stop": config["stopSequences"][0],
        }
    turns = body["messages"]
    system = body["system"] if model == ANTHROPIC else turns[0]["content"]
    return {
        "system": system,
        "turns": [turn["content"] for turn in turns if turn["role"] != "system"],
        "max_tokens": body["max_tokens"] if model == ANTHROPIC else body["max_completion_tokens"],
        "temperature": body["temperature"],
        "top_p": body["top_p"],
        "stop": body["stop_sequences"][0] if model == ANTHROPIC else body["stop"],
    }


@each_model
@streamed_or_not
async def test_structured_output_comes_as_the_class(models: Models, server: AIServer, model: str, stream: bool) -> None:
    server.say_next('{"name": "Ada", "age": 36, "languages": ["en", "fr"]}')
    body = body_for(model, "Who?", output=Person, stream=stream)
    answer = await models.infer(model, body, timeout=60)
    assert parsed(answer, Person) == Person(name="Ada", age=36, languages=["en", "fr"])


@each_model
async def test_the_schema_is_sent(models: Models, server: AIServer, model: str) -> None:
    # Nothing is scripted: the server makes up what fits the schema that it was sent.
    answer = await models.infer(model, body_for(model, "Who?", output=Person), timeout=60)
    assert parsed(answer, Person).languages == ["text"]


def test_openais_schema_is_strict() -> None:
    form = body_for(OPENAI, "Who?", output=Person)["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["required"] == ["name", "age", "languages"]
    assert form["schema"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"name": "secret words", "languages": 7}', "languages: list_type"),
        ('{"languages": []}', "name: missing"),
        ("I would rather not, secret words", "the whole: json_invalid"),
        ("", "the whole: json_invalid"),
    ],
)
def test_an_answer_that_does_not_fit_is_not_quoted(text: str, says: str) -> None:
    answer = Answer({}, text, Call("chat", "openai", "gpt-4o", 0.1, finish_reason="length"))
    with pytest.raises(OutputInvalid, match=says) as caught:
        parsed(answer, Person)
    assert "gpt-4o is no Person" in str(caught.value)
    assert "length" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.counts_as_attempt
    assert caught.value.__cause__ is None


def test_a_fence_around_the_json_is_taken_off() -> None:
    text = '```json\n{"name": "Ada",\n "languages": []}\n```\n'
    answer = Answer({}, text, Call("chat", "openai", "qwen3", 0.1))
    assert parsed(answer, Person) == Person(name="Ada", languages=[])


def test_nothing_asked_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="Nothing is asked"):
        body_for(OPENAI)


@pytest.mark.parametrize("name", ["gpt-4o", "openai/", "", "/gpt-4o", "bard/1", "local/minilm"])
def test_a_name_without_a_provider_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="names no model"):
        parse(name)


def test_google_is_another_name_of_gemini() -> None:
    assert parse("google/gemini-2.5-pro") == ("gemini/gemini-2.5-pro", "gemini", "gemini-2.5-pro")


def test_the_id_may_have_slashes() -> None:
    assert parse("openai/meta-llama/Llama-3.3-70B").id == "meta-llama/Llama-3.3-70B"


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        (OPENAI, "OPENAI_API_KEY"),
        (ANTHROPIC, "ANTHROPIC_API_KEY"),
        (GEMINI, "GEMINI_API_KEY"),
        ("azure/mine", "AZURE_OPENAI_API_KEY"),
    ],
)
async def test_a_missing_key_is_named(model: str, variable: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        await Models({}).infer(model, {}, timeout=60)


@pytest.mark.parametrize("model", [ANTHROPIC, GEMINI])
async def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, models: Models, model: str) -> None:
    provider = parse(model).provider
    monkeypatch.setitem(__import__("sys").modules, f"cdc.ai.providers.{provider}", None)
    with pytest.raises(ConfigurationError, match=rf"cdc\[{provider}\]"):
        await models.infer(model, {}, timeout=60)


@streamed_or_not
async def test_azure_is_asked_at_its_deployment(server: AIServer, stream: bool) -> None:
    models = Models({"azure": Access(KEY, server.root, "2025-01-01")})
    answer = await models.infer("azure/gpt-4o", body_for("azure/gpt-4o", "two words", stream=stream), timeout=60)
    await models.close()
    assert (answer.text, answer.call.provider) == ("You said: two words", "azure")
    assert answer.call.cost is not None
    assert server.questions[0].path == "/openai/deployments/gpt-4o/chat/completions"
    assert server.questions[0].headers["api-key"] == KEY


async def test_azure_without_an_address_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="AZURE_OPENAI_ENDPOINT"):
        await Models({"azure": Access(KEY)}).infer("azure/gpt-4o", {}, timeout=60)


async def test_many_wait_at_once(models: Models, server: AIServer) -> None:
    server.waits_for = lambda: server.peak == 40
    questions = [models.infer(OPENAI, body_for(OPENAI, f"number {number}"), timeout=60) for number in range(40)]
    answers = await asyncio.gather(*questions)
    assert [answer.text for answer in answers] == [f"You said: number {number}" for number in range(40)]


# --- spans ----------------------------------------------------------------------------------------------------------


@each_model
async def test_a_span_tells_of_the_call_and_not_of_the_content(
    models: Models, server: AIServer, spans: InMemorySpanExporter, model: str
) -> None:
    server.say_next("secret answer", input=1000, output=300, cached=600, reasoning=100)
    await models.infer(model, body_for(model, "secret question", stream=True), timeout=60)
    (span,) = spans.get_finished_spans()
    id_ = parse(model).id
    assert (span.name, span.kind) == (f"chat {id_}", SpanKind.CLIENT)
    attributes = dict(span.attributes or {})
    first = attributes.pop("gen_ai.response.time_to_first_chunk")
    assert isinstance(first, float)
    names = {"openai": "openai", "anthropic": "anthropic", "gemini": "gcp.gemini"}
    reasons = {OPENAI: "stop", ANTHROPIC: "end_turn", GEMINI: "STOP"}
    cache_writes = {ANTHROPIC: {"gen_ai.usage.cache_creation.input_tokens": 0}}
    assert attributes == cache_writes.get(model, {}) | {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": names[parse(model).provider],
        "gen_ai.request.model": id_,
        "gen_ai.request.stream": True,
        "gen_ai.response.model": id_,
        "gen_ai.response.finish_reasons": (reasons[model],),
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 300,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.reasoning.output_tokens": 100,
    }


async def test_a_call_that_is_only_watched_gets_its_name_at_the_end(spans: InMemorySpanExporter) -> None:
    with traced("chat", "unknown", "unknown") as span:
        span.end(Call("embeddings", "gemini", "embedding-1", 0.1))
    (finished,) = spans.get_finished_spans()
    assert finished.name == "embeddings embedding-1"
    assert dict(finished.attributes or {}) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "embedding-1",
    }


async def test_an_error_of_the_functions_own_ends_the_span_without_words(spans: InMemorySpanExporter) -> None:
    with pytest.raises(KeyError), traced("chat", "openai", "gpt-4o"):
        raise KeyError("secret words")
    (finished,) = spans.get_finished_spans()
    assert (finished.attributes or {})["error.type"] == "KeyError"
    assert "secret" not in finished.to_json()


async def test_the_span_of_a_failure_has_its_class_and_no_words(
    models: Models, server: AIServer, spans: InMemorySpanExporter
) -> None:
    server.refuse_next(429, words="secret words")
    with pytest.raises(ModelUnavailable):
        await models.infer(OPENAI, body_for(OPENAI, "hello"), timeout=60)
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "ModelUnavailable"
    assert not span.events
    assert "secret" not in span.to_json()
