"""What a model says, in the JSON of OpenAI (chat completions, responses), Anthropic (messages) and Gemini (contents).

Each wire format is two pure functions: the whole answer, and the events of a streamed one. The shapes are those of
the providers' API references.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

JSON = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """An answer before it has a form. `input` and `output` are all the tokens, the other numbers parts of them."""

    text: str
    model: str
    input: int
    output: int
    cached: int = 0
    written: int = 0
    reasoning: int = 0
    cut_short: bool = False
    """Whether the limit of tokens ended it."""

    @property
    def pieces(self) -> list[str]:
        """The text in the pieces in which it is streamed."""
        words = self.text.split(" ")
        return [f"{word} " for word in words[:-1]] + words[-1:]


class Event(NamedTuple):
    """A server-sent event; `name` is its type where the format has one."""

    data: JSON
    name: str | None = None


# --- OpenAI: chat completions ---------------------------------------------------------------------------------------


def chat(said: Said) -> JSON:
    message: JSON = {"role": "assistant", "content": said.text, "refusal": None, "annotations": []}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _chat_reason(said)}
    return _chat_head(said, "chat.completion") | {"choices": [choice], "usage": _chat_usage(said)}


def chat_events(said: Said, *, usage: bool) -> Iterator[Event]:
    """The last event has the usage and no choices, if it was asked for."""
    head = _chat_head(said, "chat.completion.chunk")
    deltas: list[JSON] = [{"role": "assistant", "content": "", "refusal": None}]
    deltas += [{"content": piece} for piece in said.pieces]
    choices: list[JSON] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": _chat_reason(said)})
    for choice in choices:
        yield Event(head | {"choices": [choice]} | ({"usage": None} if usage else {}))
    if usage:
        yield Event(head | {"choices": [], "usage": _chat_usage(said)})


def _chat_head(said: Said, kind: str) -> JSON:
    return {
        "id": "chatcmpl-1",
        "object": kind,
        "created": 1_750_000_000,
        "model": said.model,
        "service_tier": "default",
    }


def _chat_reason(said: Said) -> str:
    return "length" if said.cut_short else "stop"


def _chat_usage(said: Said) -> JSON:
    return {
        "prompt_tokens": said.input,
        "completion_tokens": said.output,
        "total_tokens": said.input + said.output,
        "prompt_tokens_details": {"cached_tokens": said.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": said.reasoning, "audio_tokens": 0},
    }


# --- OpenAI: responses ----------------------------------------------------------------------------------------------


def response(said: Said) -> JSON:
    part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_750_000_000,
        "status": "incomplete" if said.cut_short else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if said.cut_short else None,
        "instructions": None,
        "metadata": {},
        "model": said.model,
        "output": [item],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": said.input,
            "input_tokens_details": {"cached_tokens": said.cached, "cache_write_tokens": said.written},
            "output_tokens": said.output,
            "output_tokens_details": {"reasoning_tokens": said.reasoning},
            "total_tokens": said.input + said.output,
        },
    }


def response_events(said: Said) -> Iterator[Event]:
    whole = response(said)
    begun = whole | {"status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    item = whole["output"][0]
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    events: list[JSON] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **place, "part": empty},
        *({"type": "response.output_text.delta", **place, "delta": text, "logprobs": []} for text in said.pieces),
        {"type": "response.output_text.done", **place, "text": said.text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": item["content"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{whole['status']}", "response": whole},
    ]
    for number, event in enumerate(events):
        yield Event(event | {"sequence_number": number}, event["type"])


# --- Anthropic: messages --------------------------------------------------------------------------------------------


def message(said: Said) -> JSON:
    return _message_head(said) | {
        "content": [{"type": "text", "text": said.text}],
        "stop_reason": "max_tokens" if said.cut_short else "end_turn",
        "usage": _message_usage(said),
    }


def message_events(said: Said) -> Iterator[Event]:
    """The first event has what was read and a first guess of the output, the last but one all of the output."""
    whole = message(said)
    begun = whole | {"content": [], "stop_reason": None, "usage": whole["usage"] | {"output_tokens": 1}}
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events: list[JSON] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in said.pieces
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": said.output}},
        {"type": "message_stop"},
    ]
    for event in events:
        yield Event(event, event["type"])


def _message_head(said: Said) -> JSON:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": said.model, "stop_sequence": None}


def _message_usage(said: Said) -> JSON:
    usage: JSON = {
        "input_tokens": said.input - said.cached - said.written,
        "cache_creation_input_tokens": said.written,
        "cache_read_input_tokens": said.cached,
        "output_tokens": said.output,
        "service_tier": "standard",
    }
    return usage | ({"output_tokens_details": {"thinking_tokens": said.reasoning}} if said.reasoning else {})


# --- Gemini: contents -----------------------------------------------------------------------------------------------


def content(said: Said) -> JSON:
    return _content(said, said.text, _content_reason(said)) | {"usageMetadata": _content_usage(said)}


def content_events(said: Said) -> Iterator[Event]:
    """Every event counts what was used up to it; the last one has the reason."""
    *first, last = said.pieces
    for piece in first:
        counted = {"promptTokenCount": said.input, "totalTokenCount": said.input}
        yield Event(_content(said, piece, None) | {"usageMetadata": counted})
    yield Event(_content(said, last, _content_reason(said)) | {"usageMetadata": _content_usage(said)})


def _content(said: Said, text: str, reason: str | None) -> JSON:
    candidate: JSON = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": said.model, "responseId": "resp-1"}


def _content_reason(said: Said) -> str:
    return "MAX_TOKENS" if said.cut_short else "STOP"


def _content_usage(said: Said) -> JSON:
    usage: JSON = {
        "promptTokenCount": said.input,
        "candidatesTokenCount": said.output - said.reasoning,
        "totalTokenCount": said.input + said.output,
    }
    usage |= {"cachedContentTokenCount": said.cached} if said.cached else {}
    return usage | ({"thoughtsTokenCount": said.reasoning} if said.reasoning else {})


# --- errors ---------------------------------------------------------------------------------------------------------


def openai_error(status: int, words: str, **more: Any) -> JSON:
    return {"error": {"message": words, "type": "error", "param": None, "code": None} | more}


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def anthropic_error(status: int, words: str, **more: Any) -> JSON:
    error = {"type": _ANTHROPIC_TYPES.get(status, "api_error"), "message": words} | more
    return {"type": "error", "error": error, "request_id": "req_1"}


_GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def gemini_error(status: int, words: str, **more: Any) -> JSON:
    error = {"code": status, "message": words, "status": _GOOGLE_STATUSES.get(status, "INTERNAL")} | more
    return {"error": error}


Errors = Callable[..., JSON]
