"""What an answer says of itself, in each form that the three providers answer in.

The same functions read JSON and the objects of the providers' packages, Gemini's `usageMetadata` and
`usage_metadata`: a field is looked up under its names as a key, else as an attribute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cdc.ai.call import Usage


class Reading(NamedTuple):
    """`operation` is OpenTelemetry's name for what was done; `model` is the one that says it has answered."""

    provider: str
    operation: str
    model: str | None
    usage: Usage
    finish_reason: str | None
    text: str


def read(answer: object) -> Reading | None:
    """What is told by an answer of OpenAI, Anthropic or Gemini; None when it has none of their forms."""
    if isinstance(answer, str | bytes | Sequence):
        return None
    for is_it, reader in _FORMS:
        if is_it(answer):
            return reader(answer)
    return None


def field(thing: Any, *names: str) -> Any:
    """The value of a field under the first of its names that has one."""
    for name in names:
        value = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if value is not None:
            return value
    return None


def _says(thing: Any, name: str, word: str) -> bool:
    return bool(field(thing, name) == word)


def _items(thing: Any, *names: str) -> list[Any]:
    value = field(thing, *names)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else []


def _count(thing: Any, *names: str) -> int | None:
    value = field(thing, *names)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _text(thing: Any, *names: str) -> str:
    value = field(thing, *names)
    return value if isinstance(value, str) else ""


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


# --- OpenAI: chat completions, the older completions, responses, embeddings -----------------------------------------


def _is_chat(answer: object) -> bool:
    return _says(answer, "object", "chat.completion") or any(field(c, "message") for c in _items(answer, "choices"))


def _chat(answer: object) -> Reading:
    choice = next(iter(_items(answer, "choices")), None)
    text = _text(field(choice, "message"), "content")
    return _openai("chat", answer, text, field(choice, "finish_reason"))


def _is_completion(answer: object) -> bool:
    return _says(answer, "object", "text_completion")


def _completion(answer: object) -> Reading:
    choice = next(iter(_items(answer, "choices")), None)
    return _openai("text_completion", answer, _text(choice, "text"), field(choice, "finish_reason"))


def _is_response(answer: object) -> bool:
    return _says(answer, "object", "response")


def _response(answer: object) -> Reading:
    parts = [part for item in _items(answer, "output") for part in _items(item, "content")]
    text = "".join(_text(part, "text") for part in parts if field(part, "type") == "output_text")
    reason = field(field(answer, "incomplete_details"), "reason") or field(answer, "status")
    return _openai("chat", answer, text, reason)


def _is_embeddings(answer: object) -> bool:
    data = _items(answer, "data")
    return _says(answer, "object", "list") and bool(data) and _says(data[0], "object", "embedding")


def _embeddings(answer: object) -> Reading:
    return _openai("embeddings", answer, "", None)


def _openai(operation: str, answer: object, text: str, reason: Any) -> Reading:
    used = field(answer, "usage")
    read_from = field(used, "prompt_tokens_details", "input_tokens_details")
    spent_on = field(used, "completion_tokens_details", "output_tokens_details")
    usage = Usage(
        input_tokens=_count(used, "prompt_tokens", "input_tokens"),
        output_tokens=_count(used, "completion_tokens", "output_tokens"),
        total_tokens=_count(used, "total_tokens"),
        cached_tokens=_count(read_from, "cached_tokens"),
        cache_write_tokens=_count(read_from, "cache_write_tokens"),
        reasoning_tokens=_count(spent_on, "reasoning_tokens"),
    )
    return Reading("openai", operation, _text(answer, "model") or None, usage, _word(reason), text)


# --- Anthropic ------------------------------------------------------------------------------------------------------


def _is_message(answer: object) -> bool:
    return _says(answer, "type", "message") and _says(answer, "role", "assistant")


def _message(answer: object) -> Reading:
    used = field(answer, "usage")
    cached = _count(used, "cache_read_input_tokens")
    written = _count(used, "cache_creation_input_tokens")
    # Anthropic counts the cached part beside the input, the others within it.
    input_tokens = _sum(_count(used, "input_tokens"), cached, written)
    output_tokens = _count(used, "output_tokens")
    usage = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        total_tokens=_sum(input_tokens, output_tokens),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=_count(field(used, "output_tokens_details"), "thinking_tokens"),
    )
    blocks = [block for block in _items(answer, "content") if field(block, "type") == "text"]
    text = "".join(_text(block, "text") for block in blocks)
    model = _text(answer, "model") or None
    return Reading("anthropic", "chat", model, usage, _word(field(answer, "stop_reason")), text)


# --- Gemini ---------------------------------------------------------------------------------------------------------


def _is_content(answer: object) -> bool:
    told = field(answer, "usageMetadata", "usage_metadata", "modelVersion", "model_version")
    blocked = field(answer, "promptFeedback", "prompt_feedback")
    return (told is not None and field(answer, "candidates") is not None) or blocked is not None


def _content(answer: object) -> Reading:
    used = field(answer, "usageMetadata", "usage_metadata")
    thoughts = _count(used, "thoughtsTokenCount", "thoughts_token_count")
    usage = Usage(
        input_tokens=_sum(
            _count(used, "promptTokenCount", "prompt_token_count"),
            _count(used, "toolUsePromptTokenCount", "tool_use_prompt_token_count"),
        ),
        # Gemini counts thoughts beside what is said, and is paid for both as output.
        output_tokens=_sum(_count(used, "candidatesTokenCount", "candidates_token_count"), thoughts),
        total_tokens=_count(used, "totalTokenCount", "total_token_count"),
        cached_tokens=_count(used, "cachedContentTokenCount", "cached_content_token_count"),
        reasoning_tokens=thoughts,
    )
    candidate = next(iter(_items(answer, "candidates")), None)
    parts = [part for part in _items(field(candidate, "content"), "parts") if not field(part, "thought")]
    reason = field(candidate, "finishReason", "finish_reason") or field(
        field(answer, "promptFeedback", "prompt_feedback"), "blockReason", "block_reason"
    )
    text = "".join(_text(part, "text") for part in parts)
    model = _text(answer, "modelVersion", "model_version") or None
    return Reading("gemini", "chat", model, usage, _word(reason), text)


def _word(reason: Any) -> str | None:
    """A reason as the provider writes it; its package may have made it an enum."""
    reason = getattr(reason, "value", reason)
    return reason if isinstance(reason, str) else None


_FORMS = (
    (_is_chat, _chat),
    (_is_completion, _completion),
    (_is_response, _response),
    (_is_embeddings, _embeddings),
    (_is_message, _message),
    (_is_content, _content),
)
