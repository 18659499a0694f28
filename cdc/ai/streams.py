"""A streamed answer, put together again: the chunks of one, as JSON, become the answer that was not streamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

Chunk = Mapping[str, Any]


class Incomplete(ValueError):
    """The stream ended before the answer did."""


class Form(NamedTuple):
    """How a provider streams. `speaks` tells whether a chunk carries some of the answer, `merge` makes the whole."""

    name: str
    speaks: Callable[[Chunk], bool]
    merge: Callable[[Sequence[Chunk]], dict[str, Any]]


def form_of(chunk: Chunk) -> Form | None:
    """The form of the stream that begins with this chunk; None when it is none of them."""
    kind = chunk.get("type")
    if chunk.get("object") == "chat.completion.chunk":
        return CHAT
    if isinstance(kind, str) and kind.startswith("response."):
        return RESPONSES
    if kind in ("message_start", "ping"):
        return MESSAGES
    if any(name in chunk for name in ("candidates", "usageMetadata", "promptFeedback")):
        return CONTENT
    return None


# --- OpenAI's chat completions --------------------------------------------------------------------------------------


def _chat_speaks(chunk: Chunk) -> bool:
    deltas = [choice.get("delta") or {} for choice in chunk.get("choices") or []]
    return any(value for delta in deltas for name, value in delta.items() if name != "role")


def _chat_merge(chunks: Sequence[Chunk]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        whole |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for part in chunk.get("choices") or []:
            choice = choices.setdefault(part.get("index", 0), {"message": {"role": "assistant", "content": None}})
            _grow(choice["message"], part.get("delta") or {})
            _grow(choice, {"logprobs": part.get("logprobs")})
            told = {name: value for name, value in part.items() if name not in ("delta", "logprobs")}
            choice |= {name: value for name, value in told.items() if value is not None}
    if not choices or not all(choice.get("finish_reason") for choice in choices.values()):
        raise Incomplete("no finish_reason")
    for choice in choices.values():
        for call in choice["message"].get("tool_calls") or []:
            call.pop("index", None)
    return whole | {"object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}


def _grow(message: dict[str, Any], delta: Chunk) -> None:
    """Add a delta: texts go on, lists are of things that say which of them they belong to, the rest is replaced."""
    for name, value in delta.items():
        before = message.get(name)
        if isinstance(value, str) and isinstance(before, str) and name not in ("role", "type", "id"):
            message[name] = before + value
        elif isinstance(value, Mapping):
            message[name] = dict(before or {})
            _grow(message[name], value)
        elif isinstance(value, list):
            message[name] = _grown(list(before or []), value)
        elif value is not None:
            message[name] = value


def _grown(items: list[Any], parts: Sequence[Any]) -> list[Any]:
    for part in parts:
        index = part.get("index") if isinstance(part, Mapping) else None
        known = next((item for item in items if isinstance(item, dict) and item.get("index") == index), None)
        if isinstance(known, dict) and index is not None:
            _grow(known, part)
        else:
            items.append(dict(part) if isinstance(part, Mapping) else part)
    return items


# --- OpenAI's responses ---------------------------------------------------------------------------------------------

_ENDS = ("response.completed", "response.incomplete", "response.failed")


def _responses_speaks(chunk: Chunk) -> bool:
    return str(chunk.get("type")).endswith(".delta")


def _responses_merge(chunks: Sequence[Chunk]) -> dict[str, Any]:
    for chunk in reversed(chunks):
        if chunk.get("type") in _ENDS:
            return dict(chunk["response"])
    raise Incomplete("no response.completed")


# --- Anthropic's messages -------------------------------------------------------------------------------------------

_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}


def _messages_speaks(chunk: Chunk) -> bool:
    return chunk.get("type") == "content_block_delta"


def _messages_merge(chunks: Sequence[Chunk]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        match chunk.get("type"):
            case "message_start":
                whole = dict(chunk["message"])
            case "content_block_start":
                blocks[chunk["index"]] = dict(chunk["content_block"])
            case "content_block_delta":
                _add_delta(blocks[chunk["index"]], chunk["delta"])
            case "message_delta":
                whole |= chunk["delta"]
                told = {name: value for name, value in (chunk.get("usage") or {}).items() if value is not None}
                whole["usage"] = (whole.get("usage") or {}) | told
    if not whole or chunks[-1].get("type") != "message_stop":
        raise Incomplete("no message_stop")
    for block in blocks.values():
        if "partial_json" in block:
            block["input"] = orjson.loads(block.pop("partial_json") or "{}")
    return whole | {"content": [blocks[index] for index in sorted(blocks)]}


def _add_delta(block: dict[str, Any], delta: Chunk) -> None:
    kind = str(delta.get("type"))
    if kind in _DELTAS:
        name = _DELTAS[kind]
        block[name] = block.get(name, "") + delta[name]
    elif kind == "citations_delta":
        block["citations"] = [*(block.get("citations") or []), delta["citation"]]
    elif kind == "signature_delta":
        block["signature"] = delta["signature"]


# --- Gemini's contents ----------------------------------------------------------------------------------------------


def _content_speaks(chunk: Chunk) -> bool:
    return any((candidate.get("content") or {}).get("parts") for candidate in chunk.get("candidates") or [])


def _content_merge(chunks: Sequence[Chunk]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    candidates: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        whole |= {name: value for name, value in chunk.items() if name != "candidates" and value is not None}
        for part in chunk.get("candidates") or []:
            candidate = candidates.setdefault(part.get("index") or 0, {"content": {"role": "model", "parts": []}})
            candidate |= {name: value for name, value in part.items() if name != "content" and value is not None}
            for piece in (part.get("content") or {}).get("parts") or []:
                _add_part(candidate["content"]["parts"], piece)
    if not all(candidate.get("finishReason") for candidate in candidates.values()):
        raise Incomplete("no finishReason")
    if not candidates and not whole.get("promptFeedback"):
        raise Incomplete("no candidate")
    return whole | {"candidates": [candidates[index] for index in sorted(candidates)]}


def _add_part(parts: list[dict[str, Any]], piece: Chunk) -> None:
    """Texts that follow each other are one text; thoughts stay apart from what is said."""
    if parts and set(piece) == set(parts[-1]) and set(piece) <= {"text", "thought"}:
        parts[-1]["text"] += piece["text"]
    else:
        parts.append(dict(piece))


CHAT = Form("chat completions", _chat_speaks, _chat_merge)
RESPONSES = Form("responses", _responses_speaks, _responses_merge)
MESSAGES = Form("messages", _messages_speaks, _messages_merge)
CONTENT = Form("contents", _content_speaks, _content_merge)
