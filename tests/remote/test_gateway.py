"""What the service asks for apps: models and servers, and never what only the service can reach."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.ai.call import Usage
from cdc.errors import RetryAfter
from cdc.remote.addresses import NotAllowed, allowed, outward
from cdc.remote.gateway import LARGEST_ANSWER, AIGatewayError, Gateway, GatewayError
from cdc.remote.planning import asked
from cdc.remote.recognised import call_of
from tests.ports import CLOSED
from tests.remote.rude import Received, ok, serving

CHAT = {
    "id": "c",
    "object": "chat.completion",
    "model": "gpt-4o-2024-08-06",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
}
PRICE = Decimal("0.0035")


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway((), development=True)
    yield made
    await made.close()


def infer(url: str, **opts: Any) -> dict[str, Any]:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "secret prompt"}]}
    given = {"type": "step.ai.infer", "url": url, "auth_key": "sk-1", "format": "openai-chat", "headers": {}}
    return given | {"body": body} | opts


async def test_a_model_is_asked_as_its_provider_wants_it(gateway: Gateway) -> None:
    async def reply(received: Received) -> bytes:
        return ok(json.dumps(CHAT).encode())

    async with serving(reply) as server:
        given = {"x-team": "a", "host": "elsewhere", "Content-Length": "9", "anthropic-version": "2024-01-01"}
        for form, header in (
            ("openai-chat", "Authorization: Bearer sk-1"),
            ("grok", "Authorization: Bearer sk-1"),
            ("anthropic", "X-Api-Key: sk-1"),
            ("gemini", "X-Goog-Api-Key: sk-1"),
            ("azure-openai", "Api-Key: sk-1"),
        ):
            found = await gateway.infer(infer(f"{server.url}/v1/chat", format=form, headers=given))
            assert found.data == CHAT
            got = server.received[-1]
            assert {header, "X-Team: a", "Anthropic-Version: 2024-01-01"} <= set(got.raw_headers.split("\r\n"))
            assert got.headers["host"] == f"127.0.0.1:{server.port}"
            assert json.loads(got.body)["model"] == "gpt-4o"
        await gateway.infer(infer(server.url, headers={"authorization": "Basic x"}))
        assert server.received[-1].headers["authorization"] == "Basic x", "the app's own word counts"


async def test_a_call_tells_of_tokens_and_costs(gateway: Gateway) -> None:
    async def reply(received: Received) -> bytes:
        return ok(json.dumps(CHAT).encode())

    async with serving(reply) as server:
        call = (await gateway.infer(infer(server.url))).call
        assert (call.provider, call.model, call.response_model) == ("openai", "gpt-4o", "gpt-4o-2024-08-06")
        assert (call.usage, call.cost, call.finish_reason) == (Usage(1000, 100, 1100), PRICE, "stop")
        assert call.latency > 0
        at = f"{server.url}/v1beta/models/gemini-2.5-flash:generateContent?key=sk-1"
        call = (await gateway.infer(infer(at, format="gemini", body={"contents": []}))).call
        assert (call.provider, call.model) == ("gemini", "gemini-2.5-flash")


async def test_a_refusal_is_tried_again_when_the_provider_says_and_quotes_nothing(gateway: Gateway) -> None:
    error = {"error": {"message": "sk-1 may not say: secret prompt", "type": "rate_limit"}}

    async def reply(received: Received) -> bytes:
        if "text" in received.target:
            return ok(b"data: {}\n\n")
        return ok(json.dumps(error).encode(), "429 Too Many Requests", "retry-after: 7\r\n")

    async with serving(reply) as server:
        with pytest.raises(AIGatewayError, match=r"HTTP 429 \(rate_limit\)") as refused:
            await gateway.infer(infer(f"{server.url}?key=sk-1"))
        assert isinstance(refused.value, RetryAfter)
        assert (refused.value.delay, refused.value.call.error) == (7.0, "AIGatewayError")
        assert "secret" not in str(refused.value)
        assert "sk-1" not in str(refused.value)
        with pytest.raises(AIGatewayError, match="no JSON") as refused:
            await gateway.infer(infer(f"{server.url}/text"))
        assert refused.value.delay is None
    with pytest.raises(AIGatewayError, match="refuses connections"):
        await gateway.infer(infer(f"http://127.0.0.1:{CLOSED}"))
    with pytest.raises(AIGatewayError, match="cannot be called"):
        await gateway.infer({})


async def test_a_server_is_fetched_whatever_it_says(gateway: Gateway) -> None:
    async def reply(received: Received) -> bytes:
        if "empty" in received.target:
            return b"HTTP/1.1 204 No Content\r\n\r\n"
        if "large" in received.target:
            return ok(b"x" * (LARGEST_ANSWER + 1))
        headers = "x-a: 1\r\nX-A: 2\r\ncontent-encoding: gzip\r\ncontent-type: text/plain; charset=latin-1\r\n"
        return ok(gzip.compress("né".encode("latin-1")), "404 Not Found", headers)

    async with serving(reply) as server:
        opts = {"url": f"{server.url}/a b?x=é", "method": "put", "headers": {"x-k": "v"}, "body": "text"}
        found = await gateway.fetch(opts)
        assert found == {
            "url": opts["url"],
            "status_code": 404,
            "headers": {"X-A": "1,2", "Content-Type": "text/plain; charset=latin-1"},
            "body": "né",
        }
        got = server.received[0]
        assert (got.target, got.headers["x-k"], got.body) == ("/a%20b?x=%C3%A9", "v", b"text")
        assert got.raw_headers.startswith("PUT ")
        assert (await gateway.fetch({"url": f"{server.url}/empty"}))["body"] is None
        with pytest.raises(GatewayError, match="larger than"):
            await gateway.fetch({"url": f"{server.url}/large"})


async def test_redirects_are_followed_and_each_is_looked_at(gateway: Gateway) -> None:
    async def reply(received: Received) -> bytes:
        code = received.target.strip("/")
        there = {"303": "/end", "loop": "/loop", "file": "file:///etc/passwd", "link": "http://169.254.169.254/"}
        if code in there:
            return ok(b"", f"{code if code.isdigit() else 307} Moved", f"location: {there[code]}\r\n")
        if code == "away":
            return ok(b"", "307 Moved", f"location: http://localhost:{received.headers['host'].split(':')[1]}/end\r\n")
        return ok(b"end")

    async with serving(reply) as server:
        sent = {"method": "POST", "body": "x", "headers": {"authorization": "a", "content-type": "t", "x-k": "v"}}
        assert (await gateway.fetch(sent | {"url": f"{server.url}/303"}))["url"] == f"{server.url}/end"
        last = server.received[-1]
        assert (last.raw_headers[:4], last.body, last.headers["authorization"]) == ("GET ", b"", "a")
        assert (await gateway.fetch(sent | {"url": f"{server.url}/away"}))["body"] == "end"
        last = server.received[-1]
        assert (last.raw_headers[:4], last.body, last.headers["x-k"]) == ("POST", b"x", "v")
        assert "authorization" not in last.headers, "another origin gets no credentials"
        for path, words in (("loop", "more than 10"), ("file", "cannot be called"), ("link", "not in the open")):
            with pytest.raises(GatewayError, match=words):
                await gateway.fetch({"url": f"{server.url}/{path}"})


@pytest.mark.parametrize(
    ("address", "open_"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("100.100.100.200", False),
        ("168.63.129.16", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
        ("fec0::1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::808:808", False),
        ("2002:a00:1::", False),
        ("::ffff:10.0.0.1", False),
    ],
)
async def test_only_what_is_in_the_open_may_be_asked(address: str, open_: bool) -> None:
    async def ask(host: str, port: int) -> list[str]:
        return ["8.8.4.4", address]

    async def may(entries: str = "", *, development: bool = False) -> bool:
        try:
            return (await outward("https://a.b/", allowed(entries), development=development, ask=ask)).port == 443
        except NotAllowed:
            return False

    assert await may() == open_
    assert await may("other.host") == open_
    assert await may(development=True) == (open_ or address in ("127.0.0.1", "::1"))
    private = address in ("10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::")
    assert await may("a.b") >= (open_ or private)
    assert not (await may("a.b") and address in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "fe80::1"))


async def test_this_machine_is_not_asked_in_earnest_nor_with_a_password() -> None:
    async def reply(received: Received) -> bytes:
        return ok()

    async with serving(reply) as server:
        closed = Gateway((), development=False)
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
            with pytest.raises(GatewayError, match="cannot be called"):
                await closed.fetch({"url": f"http://{host}:{server.port}"})
        await closed.close()
        listed = Gateway(allowed("localhost"), development=False)
        assert (await listed.fetch({"url": f"http://localhost:{server.port}"}))["body"] == "1"
        with pytest.raises(GatewayError, match="without user"):
            await listed.fetch({"url": f"http://u:p@localhost:{server.port}"})
        await listed.close()
        assert len(server.received) == 1


def test_what_a_wrapped_call_returned_tells_of_its_costs() -> None:
    call = call_of(CHAT, 2.0)
    assert call is not None
    assert (call.provider, call.model, call.latency, call.cost) == ("openai", "gpt-4o-2024-08-06", 2.0, PRICE)
    # generateText of ai 5, which asked twice: once with the provider's own words, once without
    used = {"inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100}
    response = {"modelId": "gpt-4o-2024-08-06", "headers": {}, "messages": []}
    step = {"usage": used, "response": response, "finishReason": "stop", "providerMetadata": {"openai": {}}}
    call = call_of({"steps": [step | {"response": response | {"body": CHAT}}, step]})
    assert call is not None
    assert (call.usage, call.cost, call.finish_reason) == (Usage(2000, 200, 2200), 2 * PRICE, "stop")
    # ai 4
    old = {"text": "hi", "usage": {"promptTokens": 10, "completionTokens": 2}, "response": {"modelId": "claude-x"}}
    call = call_of(old | {"steps": []})
    assert call is not None
    assert (call.provider, call.usage.input_tokens, call.cost) == ("anthropic", 10, None)
    other: Any
    for other in (None, [], "text", {"usage": {"cpu": 1}}, {"usage": "x"}, {"steps": ["x"]}, {"data": CHAT}):
        assert call_of(other) is None


def test_what_is_kept_of_a_request_has_no_key() -> None:
    gemini = "https://u:p@g.com/v1beta/models/m:generateContent?key=sk-1&alt=json&X-Amz-Signature=sk-1"
    kept = asked({"url": gemini, "auth_key": "sk-1", "headers": {"authorization": "sk-1"}, "format": "gemini"})
    assert kept == {
        "url": "https://g.com/v1beta/models/m:generateContent?key=...&alt=json&X-Amz-Signature=...",
        "format": "gemini",
    }
    assert asked({"url": "http://[", "body": {}}) == {"url": "", "body": {}}
    assert asked({"body": 1}) == {"body": 1}


WORDS = st.sampled_from(["steps", "usage", "response", "modelId", "inputTokens", "object", "chat.completion", "model"])


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3) | WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
        max_leaves=20,
    )
)
def test_no_result_is_too_odd(result: Any) -> None:
    call = call_of(result)
    assert call is None or "\0" not in call.model
