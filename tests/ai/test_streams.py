"""What is in streams besides texts: tools that are called, thoughts, refusals, and what servers of one's own send."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.ai.reading import read
from cdc.ai.streams import CHAT, CONTENT, MESSAGES, RESPONSES, Incomplete, form_of

JSON = dict[str, Any]


def chunk(delta: JSON, reason: str | None = None, index: int = 0, **more: Any) -> JSON:
    choice = {"index": index, "delta": delta, "finish_reason": reason}
    return {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]} | more


def test_the_arguments_of_tools_are_put_together() -> None:
    whole = CHAT.merge(
        [
            chunk({"role": "assistant", "content": None}),
            chunk({"tool_calls": [_call(0, "a", "weather", "")]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": '}}]}),
            chunk({"tool_calls": [_call(1, "b", "time", "{}")]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Rome"}'}}]}),
            chunk({}, "tool_calls"),
        ]
    )
    (choice,) = whole["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
            {"id": "b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
        ],
    }


def _call(index: int, id: str, name: str, arguments: str) -> JSON:
    return {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_several_choices_stay_apart() -> None:
    whole = CHAT.merge(
        [
            chunk({"content": "a"}, index=1),
            chunk({"content": "1"}, index=0),
            chunk({"content": "b"}, "stop", index=1),
            chunk({"content": "2"}, "stop", index=0),
        ]
    )
    assert [choice["message"]["content"] for choice in whole["choices"]] == ["12", "ab"]


def test_one_choice_that_does_not_end_is_an_incomplete_answer() -> None:
    with pytest.raises(Incomplete):
        CHAT.merge([chunk({"content": "a"}, "stop", index=0), chunk({"content": "a"}, index=1)])


def test_a_refusal_and_a_servers_own_field_are_texts_like_others() -> None:
    whole = CHAT.merge(
        [
            chunk({"role": "assistant", "reasoning_content": "hm"}),
            chunk({"reasoning_content": "m", "refusal": "I "}),
            chunk({"role": "assistant", "refusal": "won't"}, "stop"),
            chunk({}, "stop"),
        ]
    )
    message = whole["choices"][0]["message"]
    assert (message["reasoning_content"], message["refusal"], message["role"]) == ("hmm", "I won't", "assistant")
    assert whole["choices"][0]["finish_reason"] == "stop"


def test_the_probabilities_of_all_tokens_are_kept() -> None:
    parts: list[JSON] = [chunk({"content": "a"}), chunk({"content": "b"}, "stop")]
    for part in parts:
        part["choices"][0]["logprobs"] = {"content": [{"token": part["choices"][0]["delta"]["content"]}]}
    assert CHAT.merge(parts)["choices"][0]["logprobs"] == {"content": [{"token": "a"}, {"token": "b"}]}


def test_a_chunk_without_choices_may_come_first() -> None:
    first = {"object": "chat.completion.chunk", "choices": [], "prompt_filter_results": []}
    assert CHAT.merge([first, chunk({"content": "a"}, "stop")])["choices"][0]["message"]["content"] == "a"


def test_the_role_alone_is_no_first_token() -> None:
    assert not CHAT.speaks(chunk({"role": "assistant", "content": ""}))
    assert CHAT.speaks(chunk({"content": "a"}))
    assert CHAT.speaks(chunk({"tool_calls": [_call(0, "a", "time", "")]}))
    assert not MESSAGES.speaks({"type": "message_start"})
    assert not CONTENT.speaks({"candidates": [{"finishReason": "STOP"}]})
    assert not RESPONSES.speaks({"type": "response.created"})


def test_thoughts_and_tools_of_anthropic_are_blocks_of_their_own() -> None:
    whole = MESSAGES.merge(
        [
            {"type": "message_start", "message": _anthropic()},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "On it."}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {"a": 1}}},
            {"type": "content_block_start", "index": 2, "content_block": _tool("weather")},
            {"type": "content_block_delta", "index": 2, "delta": _input('{"city": ')},
            {"type": "content_block_delta", "index": 2, "delta": _input('"Rome"}')},
            {"type": "content_block_start", "index": 3, "content_block": _tool("time")},
            {"type": "content_block_delta", "index": 3, "delta": _input("")},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
            {"type": "message_stop"},
        ]
    )
    assert whole["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "On it.", "citations": [{"a": 1}]},
        _tool("weather") | {"input": {"city": "Rome"}},
        _tool("time"),
    ]
    assert whole["stop_reason"] == "tool_use"
    assert whole["usage"] == {"input_tokens": 5, "output_tokens": 9}
    reading = read(whole)
    assert reading is not None
    assert reading.text == "On it."


def _anthropic() -> JSON:
    usage = {"input_tokens": 5, "output_tokens": 1}
    return {"type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}


def _tool(name: str) -> JSON:
    return {"type": "tool_use", "id": name, "name": name, "input": {}}


def _input(text: str) -> JSON:
    return {"type": "input_json_delta", "partial_json": text}


def test_thoughts_and_tools_of_gemini_are_parts_of_their_own() -> None:
    parts: list[JSON] = [
        {"text": "h", "thought": True},
        {"text": "m", "thought": True},
        {"text": "On "},
        {"text": "it."},
        {"functionCall": {"name": "time", "args": {}}},
        {"text": "Well"},
    ]
    chunks: list[JSON] = [{"candidates": [{"content": {"parts": [part]}}], "modelVersion": "m"} for part in parts]
    chunks.append({"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 5}})
    whole = CONTENT.merge(chunks)
    assert whole["candidates"][0]["content"]["parts"] == [
        {"text": "hm", "thought": True},
        {"text": "On it."},
        {"functionCall": {"name": "time", "args": {}}},
        {"text": "Well"},
    ]
    reading = read(whole)
    assert reading is not None
    assert reading.text == "On it.Well"


def test_a_prompt_that_gemini_blocks_is_an_answer_without_words() -> None:
    whole = CONTENT.merge([{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}])
    reading = read(whole)
    assert reading is not None
    assert (reading.text, reading.finish_reason, reading.usage.input_tokens) == ("", "SAFETY", 5)


def test_a_response_that_was_cut_short_says_why() -> None:
    response = {"object": "response", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    whole = RESPONSES.merge([{"type": "response.created"}, {"type": "response.incomplete", "response": response}])
    reading = read(whole)
    assert reading is not None
    assert reading.finish_reason == "max_output_tokens"


@pytest.mark.parametrize("form", [CHAT, RESPONSES, MESSAGES, CONTENT])
def test_nothing_is_no_answer(form: Any) -> None:
    with pytest.raises(Incomplete):
        form.merge([])


@pytest.mark.parametrize("other", [{}, {"type": "text"}, {"object": "list"}, {"type": None}, {"data": [1]}])
def test_other_streams_are_not_ours(other: JSON) -> None:
    assert form_of(other) is None


@pytest.mark.parametrize(
    "other",
    [
        {},
        [],
        "text",
        {"choices": []},
        {"choices": [{"text": "a"}]},
        {"object": "list", "data": [{"object": "file"}]},
        {"type": "message", "role": "user"},
        {"candidates": ["Ada", "Alan"]},
        {"output": []},
        {"usage": {"input_tokens": 1}},
    ],
)
def test_other_json_is_no_answer(other: Any) -> None:
    assert read(other) is None


@pytest.mark.parametrize("odd", [None, -1, True, "7", 1.5, {}])
def test_a_count_that_is_none_is_not_known(odd: Any) -> None:
    reading = read({"object": "chat.completion", "choices": [], "usage": {"prompt_tokens": odd}})
    assert reading is not None
    assert reading.usage.input_tokens is None
