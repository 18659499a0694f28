"""One span for each call of a model, with the attributes of OpenTelemetry's conventions for generative AI.

Prompts and answers are never among them. Without an SDK for OpenTelemetry in the process nothing is made at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

from cdc.ai.call import Call

_TRACER = trace.get_tracer("cdc.ai")
_PROVIDERS = {"gemini": "gcp.gemini", "azure": "azure.ai.openai"}


class CallSpan:
    """The span of a call that is under way."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def end(self, call: Call) -> None:
        """Write down what is known now that the call is over; of a call that was only watched, all of it."""
        self._span.update_name(f"{call.operation} {call.model}")
        for name, value in _attributes(call):
            if value is not None:
                self._span.set_attribute(name, value)
        if call.error:
            self._span.set_status(trace.Status(trace.StatusCode.ERROR))


@contextmanager
def traced(operation: str, provider: str, model: str, *, streamed: bool = False) -> Iterator[CallSpan]:
    """A span `<operation> <model>` around a call; tell it the `Call` before the block ends."""
    attributes: dict[str, str | bool] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": model,
    }
    if streamed:
        attributes["gen_ai.request.stream"] = True
    with _TRACER.start_as_current_span(
        f"{operation} {model}",
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        # The message of an exception may have what a provider or a function says of the data.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield CallSpan(span)
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(trace.Status(trace.StatusCode.ERROR))
            raise


def _attributes(call: Call) -> Iterator[tuple[str, str | int | float | list[str] | None]]:
    yield "gen_ai.operation.name", call.operation
    yield "gen_ai.provider.name", _PROVIDERS.get(call.provider, call.provider)
    yield "gen_ai.request.model", call.model
    yield "gen_ai.response.model", call.response_model
    yield "gen_ai.usage.input_tokens", call.usage.input_tokens
    yield "gen_ai.usage.output_tokens", call.usage.output_tokens
    yield "gen_ai.usage.cache_read.input_tokens", call.usage.cached_tokens
    yield "gen_ai.usage.cache_creation.input_tokens", call.usage.cache_write_tokens
    yield "gen_ai.usage.reasoning.output_tokens", call.usage.reasoning_tokens
    yield "gen_ai.response.finish_reasons", [call.finish_reason] if call.finish_reason else None
    yield "gen_ai.response.time_to_first_chunk", call.first_token
    yield "error.type", call.error
