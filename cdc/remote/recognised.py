"""Which call of a model a result tells of, when an app asked the model itself (`step.ai.wrap`). Pure.

Known are the answers of the providers, and what the Vercel AI SDK makes of them. What was said is looked at by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from cdc.ai import reading
from cdc.ai.call import Call, Usage
from cdc.ai.price import cost

_UNKNOWN = "unknown"
_MOST = 2**40
_LONGEST_NAME = 200
_METADATA = {"openai": "openai", "anthropic": "anthropic", "google": "gemini", "azure": "azure"}
_FAMILIES = {"gpt-": "openai", "o1": "openai", "o3": "openai", "o4": "openai", "text-embedding-": "openai"} | {
    "claude": "anthropic",
    "gemini": "gemini",
}
_COUNTS = {
    "input_tokens": ("inputTokens", "promptTokens", "tokens"),
    "output_tokens": ("outputTokens", "completionTokens"),
    "total_tokens": ("totalTokens",),
    "cached_tokens": ("cachedInputTokens",),
    "reasoning_tokens": ("reasoningTokens",),
}


def call_of(result: Any, took: float = 0.0) -> Call | None:
    """What a result of a step that took so many seconds tells of a call; None when it tells of none."""
    calls = [call for each in _answers(result) if (call := _read(each) or _vercel(each)) is not None]
    if not calls:
        return None
    last = calls[-1]
    used = Usage(**{each.name: _sum([getattr(call.usage, each.name) for call in calls]) for each in fields(Usage)})
    prices = [call.cost for call in calls]
    known = [price for price in prices if price is not None]
    total = sum(known[1:], known[0]) if known and len(known) == len(prices) else None
    return replace(last, latency=took, usage=used, cost=total)


def known_call(document: Any, provider: str, model: str, took: float, streamed: bool = False) -> Call:
    """The call of `model` that was answered with `document`."""
    seen = reading.read(document) if isinstance(document, Mapping) else None
    if seen is None:
        return Call("chat", provider, _word(model) or _UNKNOWN, took, streamed=streamed)
    answered = _word(seen.model)
    usage = Usage(**{each.name: _counted(getattr(seen.usage, each.name)) for each in fields(Usage)})
    asked = _word(model) or answered or _UNKNOWN
    return Call(
        seen.operation,
        provider,
        asked,
        took,
        usage=usage,
        response_model=answered,
        streamed=streamed,
        cost=cost(provider, answered or asked, usage),
        finish_reason=_word(seen.finish_reason),
    )


def _answers(result: Any) -> list[Mapping[str, Any]]:
    """The answers in a result, which may be several: the Vercel AI SDK asks again when the model wants a tool."""
    if not isinstance(result, Mapping):
        return []
    steps = result.get("steps")
    if isinstance(steps, Sequence) and not isinstance(steps, str):
        inside = [each for each in steps if isinstance(each, Mapping)]
        if inside:
            return inside
    return [result]


def _read(answer: Mapping[str, Any]) -> Call | None:
    """A provider's own answer, alone or within what the Vercel AI SDK made of it."""
    response = answer.get("response")
    body = response.get("body") if isinstance(response, Mapping) else None
    for each in (body, answer):
        seen = reading.read(each) if isinstance(each, Mapping) else None
        if seen is not None:
            provider = _provider(answer, seen.model or "")
            return known_call(each, seen.provider if provider == _UNKNOWN else provider, "", 0.0)
    return None


def _vercel(answer: Mapping[str, Any]) -> Call | None:
    used, response = answer.get("usage"), answer.get("response")
    if not isinstance(used, Mapping) or not isinstance(response, Mapping | None):
        return None
    usage = Usage(**{name: _count(used, names) for name, names in _COUNTS.items()})
    if usage == Usage():
        return None
    answered = _word((response or {}).get("modelId"))
    model = answered or _UNKNOWN
    provider = _provider(answer, model)
    return Call(
        "embeddings" if "embedding" in answer or "embeddings" in answer else "chat",
        provider,
        model,
        0.0,
        usage=usage,
        response_model=answered,
        cost=cost(provider, model, usage),
        finish_reason=_word(answer.get("finishReason")),
    )


def _provider(answer: Mapping[str, Any], model: str) -> str:
    told = answer.get("providerMetadata")
    if isinstance(told, Mapping):
        for name, provider in _METADATA.items():
            if name in told:
                return provider
    return next((provider for start, provider in _FAMILIES.items() if model.startswith(start)), _UNKNOWN)


def _count(used: Mapping[str, Any], names: Sequence[str]) -> int | None:
    return next((count for name in names if (count := _counted(used.get(name))) is not None), None)


def _counted(value: Any) -> int | None:
    """A number of tokens that may be stored; an app says what it likes."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None


def _word(value: Any) -> str | None:
    """A name that may be stored."""
    return value.replace("\0", "")[:_LONGEST_NAME] or None if isinstance(value, str) else None


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
