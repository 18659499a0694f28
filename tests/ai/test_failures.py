from __future__ import annotations

from collections.abc import AsyncIterator
from traceback import format_exception
from typing import Any

import pytest

from cdc.ai.access import Access
from cdc.ai.errors import InputRefused, ModelRejected, ModelUnavailable
from cdc.ai.infer import Models, body_for
from cdc.ai.models import parse
from cdc.engine.backoff import delay, delay_for
from cdc.errors import NonRetriableError
from tests.ai.conftest import KEY, access
from tests.ai_server import AIServer
from tests.ports import CLOSED

OPENAI, ANTHROPIC, GEMINI = "openai/gpt-4o", "anthropic/claude-sonnet-5-5", "gemini/gemini-2.5-flash"
SECRET = "words that must not be repeated"

each_model = pytest.mark.parametrize("model", [OPENAI, ANTHROPIC, GEMINI])
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture
async def slow() -> AsyncIterator[AIServer]:
    """A server of one test alone: a request that was given up may come to it when the next test has begun."""
    async with AIServer() as server:
        yield server


@pytest.fixture
async def waiting(slow: AIServer) -> AsyncIterator[Models]:
    opened = Models(access(slow))
    yield opened
    await opened.close()


async def ask(models: Models, model: str, *, stream: bool = False, timeout: float = 60) -> None:
    await models.infer(model, body_for(model, SECRET, stream=stream), timeout=timeout)


def text_of(error: BaseException) -> str:
    """All that a log would have of it."""
    return "".join(format_exception(error))


@each_model
@streamed_or_not
@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
async def test_trouble_at_the_provider_is_worth_another_attempt(
    models: Models, server: AIServer, model: str, stream: bool, status: int
) -> None:
    server.refuse_next(status, words=SECRET)
    with pytest.raises(ModelUnavailable, match=str(status)) as caught:
        await ask(models, model, stream=stream)
    assert server.requests == 1
    assert caught.value.counts_as_attempt
    assert delay_for(caught.value, 3) == delay(3)
    assert SECRET not in text_of(caught.value)
    assert SECRET in caught.value.detail


@each_model
@streamed_or_not
async def test_the_provider_says_when(models: Models, server: AIServer, model: str, stream: bool) -> None:
    server.refuse_next(429, headers={"retry-after": "7"})
    with pytest.raises(ModelUnavailable) as caught:
        await ask(models, model, stream=stream)
    assert caught.value.retry_after == delay_for(caught.value, 3) == 7.0


async def test_gemini_says_when_in_its_own_words(models: Models, server: AIServer) -> None:
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "31.5s"}
    server.refuse_next(429, details=[{"reason": "RATE_LIMIT_EXCEEDED"}, retry])
    with pytest.raises(ModelUnavailable) as caught:
        await ask(models, GEMINI)
    assert caught.value.retry_after == 31.5


@each_model
@streamed_or_not
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_request_is_final_and_not_quoted(
    models: Models, server: AIServer, model: str, stream: bool, status: int
) -> None:
    server.refuse_next(status, words=f"no: {SECRET}")
    with pytest.raises(InputRefused, match=str(status)) as caught:
        await ask(models, model, stream=stream)
    assert isinstance(caught.value, NonRetriableError)
    assert SECRET not in text_of(caught.value)
    assert SECRET in caught.value.detail


@pytest.mark.parametrize(
    ("model", "status", "more", "says"),
    [
        (OPENAI, 401, {}, "Set OPENAI_API_KEY"),
        (ANTHROPIC, 401, {}, "Set ANTHROPIC_API_KEY"),
        (GEMINI, 401, {}, "Set GOOGLE_GENERATIVE_AI_API_KEY or GEMINI_API_KEY"),
        (OPENAI, 403, {}, "OPENAI_API_KEY"),
        (ANTHROPIC, 403, {}, "ANTHROPIC_API_KEY"),
        (GEMINI, 403, {}, "GEMINI_API_KEY"),
        (GEMINI, 400, {"details": [{"reason": "API_KEY_INVALID"}]}, "GEMINI_API_KEY"),
        (OPENAI, 404, {}, "model's name"),
        (ANTHROPIC, 404, {}, "model's name"),
        (GEMINI, 404, {}, "model's name"),
        (OPENAI, 400, {"code": "model_not_found"}, "model's name"),
        (OPENAI, 400, {"param": "model"}, "model's name"),
        (OPENAI, 429, {"code": "insufficient_quota"}, "billing"),
        (ANTHROPIC, 402, {}, "billing"),
        (OPENAI, 405, {}, "OPENAI_BASE_URL"),
    ],
)
async def test_what_an_operator_can_mend_is_named(
    models: Models, server: AIServer, model: str, status: int, more: dict[str, Any], says: str
) -> None:
    server.refuse_next(status, words=f"{SECRET} {KEY}", **more)
    with pytest.raises(ModelRejected, match=says) as caught:
        await ask(models, model)
    assert caught.value.counts_as_attempt
    assert delay_for(caught.value, 2) == delay(2)
    assert SECRET not in text_of(caught.value)
    assert KEY not in text_of(caught.value)


@each_model
@streamed_or_not
async def test_a_wrong_key_is_found_out(server: AIServer, model: str, stream: bool) -> None:
    async with AIServer(key="another") as guarded:
        models = Models(access(guarded))
        with pytest.raises(ModelRejected, match="key was refused"):
            await ask(models, model, stream=stream)
        await models.close()


@each_model
@streamed_or_not
async def test_a_cut_connection_is_worth_another_attempt(
    models: Models, server: AIServer, model: str, stream: bool
) -> None:
    server.break_next(after=2)
    with pytest.raises(ModelUnavailable, match="broke off"):
        await ask(models, model, stream=stream)
    await ask(models, model, stream=stream)


@each_model
async def test_a_stream_that_ends_too_early_is_no_answer(models: Models, server: AIServer, model: str) -> None:
    for after in range(1, 4):
        server.end_next(after=after)
        with pytest.raises(ModelUnavailable, match="broke off in the middle"):
            await ask(models, model, stream=True)


async def test_a_response_that_ends_too_early_is_no_answer(models: Models, server: AIServer) -> None:
    server.end_next(after=6)
    with pytest.raises(ModelUnavailable, match="broke off in the middle"):
        await models.infer(OPENAI, {"input": SECRET, "stream": True}, timeout=60)


@each_model
async def test_a_stream_without_anything_is_no_answer(models: Models, server: AIServer, model: str) -> None:
    server.end_next(after=0)
    with pytest.raises(ModelUnavailable, match="broke off"):
        await ask(models, model, stream=True)


@pytest.mark.parametrize(
    ("model", "error"),
    [
        (OPENAI, {"error": {"message": SECRET, "type": "server_error"}}),
        (ANTHROPIC, {"type": "error", "error": {"type": "overloaded_error", "message": SECRET}}),
        (GEMINI, {"error": {"code": 503, "message": SECRET, "status": "UNAVAILABLE"}}),
    ],
)
async def test_an_error_in_the_middle_of_a_stream_is_worth_another_attempt(
    models: Models, server: AIServer, model: str, error: dict[str, Any]
) -> None:
    server.end_next(after=2, error=error)
    with pytest.raises(ModelUnavailable) as caught:
        await ask(models, model, stream=True)
    assert SECRET not in text_of(caught.value)


async def test_a_response_that_failed_is_no_answer(models: Models, server: AIServer) -> None:
    server.send_next(b'{"object": "response", "status": "failed", "error": {"code": "server_error"}, "output": []}')
    with pytest.raises(ModelUnavailable, match="could not finish"):
        await models.infer(OPENAI, {"input": "hello"}, timeout=60)


@each_model
@streamed_or_not
@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b'"text"', b'{"choices": 7}', b"null", b""])
async def test_what_is_no_answer_is_worth_another_attempt(
    models: Models, server: AIServer, model: str, stream: bool, body: bytes
) -> None:
    kind = "text/event-stream" if stream else "application/json"
    server.send_next(b"data: " + body + b"\n\n" if stream else body, media_type=kind)
    with pytest.raises(ModelUnavailable, match=r"no model's answer|broke off"):
        await ask(models, model, stream=stream)


@each_model
@streamed_or_not
async def test_a_late_answer_is_worth_another_attempt(
    waiting: Models, slow: AIServer, model: str, stream: bool
) -> None:
    await ask(waiting, model)
    slow.latency = 60.0
    with pytest.raises(ModelUnavailable, match="did not answer"):
        await ask(waiting, model, stream=stream, timeout=0.2)


@each_model
async def test_a_slow_stream_ends_when_the_time_is_up(waiting: Models, slow: AIServer, model: str) -> None:
    await ask(waiting, model)
    slow.pause = 0.1
    with pytest.raises(ModelUnavailable, match="did not answer"):
        await ask(waiting, model, stream=True, timeout=0.25)


@each_model
async def test_nobody_listening_is_worth_another_attempt(model: str) -> None:
    closed = f"http://127.0.0.1:{CLOSED}"
    models = Models({provider: Access(KEY, closed) for provider in ("openai", "anthropic", "gemini")})
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await ask(models, model)
    await models.close()


@each_model
async def test_a_failed_call_is_told_of_like_any_other(models: Models, server: AIServer, model: str) -> None:
    server.refuse_next(503)
    with pytest.raises(ModelUnavailable) as caught:
        await ask(models, model, stream=True)
    call = caught.value.call
    assert call is not None
    assert (call.provider, call.model, call.streamed) == (parse(model).provider, parse(model).id, True)
    assert call.error == "ModelUnavailable"
    assert call.latency > 0
    assert call.cost is None


async def test_what_geminis_package_does_not_know_is_refused_without_being_sent(
    models: Models, server: AIServer
) -> None:
    with pytest.raises(InputRefused, match="of_tomorrow") as caught:
        await models.infer(GEMINI, body_for(GEMINI, "hello", of_tomorrow=SECRET), timeout=60)
    assert SECRET not in text_of(caught.value)
    for contents in (None, 7, [{"role": "user", "content": SECRET}]):
        with pytest.raises(InputRefused, match="contents") as caught:
            await models.infer(GEMINI, {"contents": contents}, timeout=60)
        assert SECRET not in text_of(caught.value)
    assert server.requests == 0


async def test_a_server_of_ones_own_needs_no_key(server: AIServer) -> None:
    models = Models({"openai": Access(base_url=server.url)})
    await ask(models, "openai/llama3.3")
    await models.close()
    assert server.questions[0].body["model"] == "llama3.3"
