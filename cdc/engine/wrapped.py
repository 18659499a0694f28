"""What is known of a call that an author makes with a provider's own package."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cdc.ai import observe
from cdc.ai.call import Call
from cdc.ai.observe import Captured
from cdc.ai.patience import retry_after
from cdc.ai.price import cost
from cdc.ai.spans import traced
from cdc.engine import bodies, memo

_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "google": "gemini"}
"""By the package that a method or an error is of."""

_UNKNOWN = "unknown"


async def whole(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Captured, Call]:
    """What a call returns, of a stream all of it; and what is to be known of the call."""
    began = time.perf_counter()
    before = _begun(fn, kwargs)
    with traced(before.operation, before.provider, before.model, streamed=before.streamed) as span:
        captured = await observe.captured(await bodies.call(fn, args, kwargs, None), began)
        call = _ended(before, captured, time.perf_counter() - began)
        span.end(call)
    return captured, call


def failed(error: BaseException, fn: Callable[..., Any], kwargs: Mapping[str, Any], took: float) -> Call:
    """The call that failed so."""
    begun = _begun(fn, kwargs)
    provider = _provider(type(error).__module__) if begun.provider == _UNKNOWN else begun.provider
    return replace(begun, provider=provider, latency=took, error=type(error).__name__)


def asked_to_wait(error: BaseException) -> float | None:
    """Seconds for which the answer behind a package's error asks us to wait."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    return retry_after(headers) if isinstance(headers, Mapping) else None


def dump(key: str, result: Any) -> str:
    """A result as its step records it."""
    document = observe.dump(result)
    return memo.dump(f"the result of step {key!r}", result if document is None else document)


def loaded(value: Any, fn: Callable[..., Any]) -> Any:
    """A recorded result as the object that it was."""
    restored = observe.restore(value)
    return memo.typed(value, fn) if restored is value else restored


def _begun(fn: Callable[..., Any], kwargs: Mapping[str, Any]) -> Call:
    """What is known of a call before it is made."""
    provider = _provider(getattr(inspect.unwrap(fn), "__module__", None) or "")
    model = kwargs.get("model")
    operation = "embeddings" if "embed" in getattr(fn, "__qualname__", "").lower() else "chat"
    name = model if isinstance(model, str) else _UNKNOWN
    return Call(operation, provider, name, 0.0, streamed=kwargs.get("stream") is True)


def _ended(begun: Call, captured: Captured, took: float) -> Call:
    seen = observe.observed(captured.result)
    known = replace(begun, latency=took, first_token=captured.first_token, streamed=captured.streamed or begun.streamed)
    if seen is None:
        return known
    model = seen.model or begun.model
    return replace(
        known,
        operation=seen.operation,
        provider=seen.provider,
        model=model if begun.model == _UNKNOWN else begun.model,
        response_model=seen.model,
        usage=seen.usage,
        cost=cost(seen.provider, model, seen.usage),
        finish_reason=seen.finish_reason,
    )


def _provider(module: str) -> str:
    return _PROVIDERS.get(module.partition(".")[0], _UNKNOWN)
