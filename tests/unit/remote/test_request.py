"""What apps are sent: read by the Python SDK's own models, and as TypeScript's SDKs check it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inngest._internal.server_lib import ServerRequest
from inngest._internal.step_lib.base import StepMemos

from cdc.remote.call import Call
from cdc.remote.canonical import canonical, rewritten
from cdc.remote.request import LARGEST_STATE, address, body, request

EVENT = {"id": "e", "name": "db/users.inserted", "data": {"new": {"id": 1}}, "ts": 1_800_000_000_000, "user": {}}
STACK = ("a" * 40, "b" * 40)
CALL = Call("R", "app-fn", [EVENT], {STACK[0]: {"data": 1}, STACK[1]: None}, STACK, attempt=1, claim="7:3", number=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def told(call: Call) -> dict[str, Any]:
    document = json.loads(body(call))
    assert isinstance(document, dict)
    return document


def by_python(call: Call) -> ServerRequest:
    found = ServerRequest.from_raw(body(call))
    assert isinstance(found, ServerRequest), found
    return found


def test_the_python_sdk_reads_it() -> None:
    found = by_python(replace(CALL, memos={**CALL.memos, "c": {"error": {"name": "E", "message": "m"}}}))
    assert (found.ctx.attempt, found.ctx.max_attempts, found.ctx.run_id, found.use_api) == (1, 5, "R", False)
    assert found.ctx.stack.stack == list(STACK)
    assert found.event.data == {"new": {"id": 1}}
    memos = StepMemos.from_raw(found.steps)
    assert memos.size == 3
    assert by_python(replace(CALL, events=[EVENT | {"data": None}])).event.data == {}


def test_typescript_is_told_what_its_checkpoints_need_only_of_a_claim() -> None:
    ctx = told(CALL)["ctx"]
    assert (ctx["fn_id"], ctx["qi_id"], ctx["stack"]) == ("app-fn", "7:3", {"stack": list(STACK), "current": 2})
    assert not {"fn_id", "qi_id"} & told(replace(CALL, claim=""))["ctx"].keys()
    assert told(CALL)["version"] == -1, "the SDK decides"
    assert told(replace(CALL, planned=True))["ctx"]["disable_immediate_execution"] is True


def test_a_large_state_is_asked_for() -> None:
    half = {"data": "x" * (LARGEST_STATE // 2)}
    small, large = replace(CALL, memos={"a": half}), replace(CALL, memos={"a": half, "b": half})
    assert not by_python(small).use_api
    found = told(large)
    assert found["use_api"] is found["ctx"]["use_api"] is True
    assert (found["events"], found["steps"], found["event"]) == ([], {}, EVENT)
    assert by_python(large).use_api
    event = EVENT | {"data": half}
    assert not told(replace(CALL, events=[event]))["use_api"], "one event is sent twice, and counts once"


def test_memos_may_be_written_already_and_odd() -> None:
    written = orjson.Fragment(b'{"data":{"n":1}}')
    assert told(replace(CALL, memos={"a": written}))["steps"] == {"a": {"data": {"n": 1}}}
    odd = {"a": written, "b": {"data": 2**70}, "c": {"data": "\ud83d"}}
    assert told(replace(CALL, memos=odd))["steps"] == odd | {"a": {"data": {"n": 1}}}
    with pytest.raises(ValueError, match="JSON"):
        body(replace(CALL, memos={"a": float("inf"), "b": 2**70}))


@given(JSON)
def test_what_is_signed_is_canonical(value: Any) -> None:
    call = replace(CALL, memos={"a": {"data": value}})
    assert body(call, canonical=True) == canonical(json.loads(body(call)))
    for written in (json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False)):
        assert rewritten(written.encode()) == canonical(value)


@pytest.mark.parametrize("url", ["http://a", "http://a/api?x=1&y=&fnId=old", "http://[::1]:3/p?q=%20#frag"])
@given(function_id=st.text(st.characters(codec="utf-8"), min_size=1))
def test_the_address_names_function_and_step(url: str, function_id: str) -> None:
    asked = address(url, function_id, "step")
    assert asked.isascii()
    assert asked.isprintable()
    found, known = (parse_qsl(urlsplit(each).query, keep_blank_values=True) for each in (asked, url))
    assert found == [each for each in known if each[0] != "fnId"] + [("fnId", function_id), ("stepId", "step")]


def test_the_headers_name_the_call() -> None:
    headers = request("http://a", replace(CALL, traceparent="00-1", target="c" * 40), signed=False).headers
    assert headers["x-run-id"] == "R"
    assert headers["x-request-id"] == told(CALL)["ctx"]["request_id"]
    assert headers["x-inngest-step-id"] == "c" * 40
    assert headers["x-inngest-req-version"] == "-1"
    assert headers["traceparent"] == "00-1"
