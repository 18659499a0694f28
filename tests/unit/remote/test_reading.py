"""What apps' answers mean, in the shapes in which the SDKs write them, and in any other."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.remote.answer import Answer, Op, Planned, Returned, Threw
from cdc.remote.opcodes import FURTHEST, NoOpcode
from cdc.remote.reading import DEEPEST, LARGEST_BODY, LARGEST_STEP, read, retry_after, sleep_until, timeout_of
from cdc.store.json import encoded

NOW = 1_800_000_000.0
SDK = {"x-inngest-sdk": "inngest-py:v0.5.18", "x-inngest-req-version": "2"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
WORDS = st.sampled_from(
    ["op", "id", "opts", "data", "error", "userland", "timing", "name", "index", "Sleep", "timeout"]
)
NEARLY = st.recursive(
    JSON | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
)


def hashed(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def answer(status: int, body: Any, **headers: str) -> Answer:
    told = SDK | {name.replace("_", "-"): value for name, value in headers.items()}
    return read(status, told, json.dumps(body).encode(), NOW)


def planned(*ops: Any, **headers: str) -> Planned:
    found = answer(206, list(ops), **headers)
    assert isinstance(found, Planned)
    return found


def op(**fields: Any) -> Op:
    return planned({"op": "StepRun", "id": hashed("a"), "displayName": "a"} | fields).ops[0]


def threw(found: Answer, message: str) -> Threw:
    assert isinstance(found, Threw)
    assert message in found.error["message"]
    return found


# --- the shapes of the SDKs


@given(JSON)
def test_what_a_function_returns_is_read_as_it_is(value: Any) -> None:
    assert answer(200, value) == Returned(value)


def test_an_empty_body_is_null() -> None:
    assert read(200, SDK, b"", NOW) == Returned(None)
    assert read(206, SDK, b" ", NOW) == Planned((), version=2)


def test_a_step_that_ran_as_both_sdks_tell_of_it() -> None:
    python = {"displayName": "a", "id": hashed("a:1"), "name": "a", "op": "StepRun", "data": [1]}
    javascript = python | {
        "opts": {"input": [1]},
        "timing": {"a": 1, "b": 2_500_000_000},
        "mode": "sync",
        "promise": {},
    }
    assert planned(python | {"userland": {"id": "a", "index": 1}}).ops == (
        Op("StepRun", hashed("a:1"), "a:1", name="a", data=[1]),
    )
    assert planned(javascript | {"userland": {"id": "a", "index": 1}}).ops[0].took == 2.5
    assert answer(206, python) == Planned((op(id=hashed("a:1"), name="a", data=[1]),), version=2), "one object"
    assert answer(206, json.dumps([python])) == answer(206, [python]), "encoded twice"


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1), st.none() | st.integers(0, 9))
def test_a_steps_key_is_what_its_id_was_hashed_from(id: str, index: int | None) -> None:
    key = f"{id}:{index}" if index else id
    assert op(id=hashed(key), userland={"id": id, "index": index}, displayName="shown").key == key
    assert op(id=hashed(key), displayName=id).key == key
    assert op(id=hashed(key), userland={"id": key, "index": index}).key == key, "JavaScript numbers some twice"
    assert op(id="other", userland={"id": id}, displayName=id).key == "#other"


def test_a_key_is_never_what_postgres_cannot_keep() -> None:
    assert op(id=hashed("a\0"), userland={"id": "a\0"}).key == f"#{hashed('a' + chr(0))}"


def test_the_end_of_the_function_among_its_steps() -> None:
    done, failed = {"op": "RunComplete", "id": hashed("complete"), "data": 1}, {"message": "no"}
    assert [each.op for each in planned({"op": "Step", "id": "a"}, done).ops] == ["StepRun", "RunComplete"]
    assert op(op="StepFailed", id=hashed("complete"), error=failed, displayName=None).op == "RunFailed"
    assert op(op="StepError", id=hashed("complete"), error=failed, displayName=None).op == "RunError"
    assert op(op="StepError", id=hashed("complete"), error=failed, userland={"id": "complete"}).op == "StepError"


def test_a_failed_step_says_whether_and_when_to_try_again() -> None:
    error = {"name": "E", "message": "m", "stack": "s", "code": "unknown", "__serialized": True, "cause": {"name": "C"}}
    found = planned({"op": "StepError", "id": "x", "error": error}, x_inngest_no_retry="true", retry_after="7")
    assert (found.no_retry, found.retry_after, found.version) == (True, 7.0, 2)
    assert found.ops[0].error == {"name": "E", "message": "m", "stack": "s", "cause": {"name": "C"}}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"code": "unknown", "message": "m", "name": "E"}, {"name": "E", "message": "m"}),
        ({"error": "Could not find step", "requestedStep": "x"}, {"name": "Error", "message": "Could not find step"}),
        ("plain", {"name": "Error", "message": "plain"}),
        (None, {"name": "Error", "message": "null"}),
        ({"name": 1, "message": []}, {"name": "Error", "message": "Unknown error"}),
    ],
)
def test_an_error_of_the_function(body: Any, error: dict[str, Any]) -> None:
    assert answer(500, body) == Threw(error, raw=body)
    assert answer(400, body, x_inngest_no_retry="true") == Threw(error, raw=body, no_retry=True)


@pytest.mark.parametrize(("inner", "meant"), [(200, Returned({"a": 1})), (206, Planned((), version=2))])
@pytest.mark.parametrize("twice", [False, True])
def test_a_stream_is_what_is_in_its_envelope(inner: int, meant: Answer, twice: bool) -> None:
    body: Any = {"a": 1} if inner == 200 else []
    envelope: dict[str, Any] = {"status": inner, "headers": {}, "body": json.dumps(body) if twice else body}
    assert read(201, SDK, b"   " + json.dumps(envelope).encode(), NOW) == meant
    threw(read(201, SDK, b"   ", NOW), "ended")
    threw(read(201, SDK, b'  {"status":200,"bo', NOW), "cannot be read")
    error = {"status": 500, "headers": {"X-Inngest-No-Retry": "true", "retry-after": "9"}, "body": '{"message":"m"}'}
    assert answer(201, error) == Threw({"name": "Error", "message": "m"}, {"message": "m"}, True, 9.0)


def test_what_no_sdk_answered_says_what_to_look_at() -> None:
    for status, message in ((200, "not an Inngest SDK"), (401, "CDC_SIGNING_KEY"), (307, "redirects"), (502, "502")):
        found = threw(read(status, {"retry-after": "3"}, b"<html>busy</html>", NOW), message)
        assert (found.retry_after, found.no_retry, found.raw) == (3.0, False, "<html>busy</html>")
    threw(read(204, SDK, b"", NOW), "204")


# --- values that are odd, and bodies that mean harm


@pytest.mark.parametrize("text", ["1180591620717411303424", "-9999999999999999999", '"\\ud83d"', "1.5"])
def test_numbers_and_texts_are_kept_exactly(text: str) -> None:
    found = read(200, SDK, text.encode(), NOW)
    assert isinstance(found, Returned)
    assert json.dumps(found.output) == text


@pytest.mark.parametrize("text", [b"NaN", b"1e999", b"{", b'"\xff"', b"[" * 100_000, b"9" * 5000])
def test_what_is_no_json_is_an_error_of_the_attempt(text: bytes) -> None:
    threw(read(200, SDK, text, NOW), "cannot be read")
    threw(read(206, SDK, text, NOW), "cannot be read")


@pytest.mark.parametrize("odd", [b"1", b"1180591620717411303424"])
def test_what_is_read_can_be_written(odd: bytes) -> None:
    for depth in (DEEPEST, DEEPEST + 1, 300):
        found = read(200, SDK, b"[" * depth + odd + b"]" * depth, NOW)
        assert isinstance(found, Returned) == (depth <= DEEPEST)
        if isinstance(found, Returned):
            encoded({"data": found.output})


def test_what_is_too_large_is_not_asked_for_again() -> None:
    large = [{"op": "StepRun", "id": "x", "data": "y" * LARGEST_STEP}]
    assert threw(answer(206, large), "result of step '#x'").no_retry
    assert threw(read(200, SDK, b" " * (LARGEST_BODY + 1), NOW), "larger than").no_retry
    assert threw(answer(206, [{"op": "None"}] * 1001), "1,001 opcodes").no_retry


@given(st.integers(100, 599), st.dictionaries(st.sampled_from([*SDK, "retry-after"]), st.text(max_size=5)), st.binary())
def test_no_bytes_are_too_odd(status: int, headers: dict[str, str], body: bytes) -> None:
    read(status, headers, body, NOW)


@given(st.sampled_from([200, 201, 206, 400, 500]), NEARLY)
def test_no_values_are_too_odd(status: int, value: Any) -> None:
    found = answer(status, value)
    if isinstance(found, Threw):
        assert {type(found.error["name"]), type(found.error["message"])} == {str}
    for each in (value, [value], {"op": "Sleep", "id": "x", "name": value}, {"op": "StepError", "error": value}):
        found = answer(206, each)
        if isinstance(found, Planned):
            assert {type(text) for op in found.ops for text in (op.op, op.key)} <= {str}


# --- times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 0),
        ("1s", 1),
        ("1w2d3h4m5s", 788645),
        ("2027-01-15T08:00:10.500Z", 10.5),
        ("2027-01-15T10:00:10+02:00", 10),
        ("2001-01-01T00:00:00.000Z", 0),
        ("+275760-09-13T00:00:00.000Z", FURTHEST),
        ("9999-12-31T23:59:59.999Z", FURTHEST),
        ("99999999w", FURTHEST),
        ("1500", 1.5),
        (1500, 1.5),
        (-1, 0),
    ],
)
def test_times_as_the_sdks_write_them(text: str | int, seconds: float) -> None:
    assert timeout_of(op(op="WaitForEvent", opts={"timeout": text}), NOW) == pytest.approx(seconds)
    assert sleep_until(op(op="Sleep", opts={"duration": text}), NOW) == pytest.approx(seconds)
    if isinstance(text, str):
        assert sleep_until(op(op="Sleep", name=text), NOW) == pytest.approx(seconds)


def test_what_names_no_time() -> None:
    assert timeout_of(op(op="InvokeFunction", opts={"function_id": "a-b"}), NOW) is None
    wrong: Any
    for wrong in ("soon", [], True, {}, 10**400):
        threw(answer(206, [{"op": "WaitForEvent", "id": "x", "opts": {"timeout": wrong}}]), "time of WaitForEvent")
    with pytest.raises(NoOpcode):
        sleep_until(Op("Sleep", "x", "x", name="never"), NOW)


@given(st.text() | st.floats().map(str))
def test_a_wait_between_attempts_is_between_a_second_and_a_day(text: str) -> None:
    wait = retry_after(text, NOW)
    assert wait is None or 1 <= wait <= 86400
    assert wait is not None or not (text.isascii() and text.isdigit())


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("5", 5),
        ("2027-01-15T08:00:10.500Z", 10.5),
        ("Fri, 15 Jan 2027 08:00:10 GMT", 10),
        ("0", 1),
        ("inf", 86400),
        ("9999999", 86400),
        ("2000-01-01", 1),
        ("", None),
        ("soon", None),
    ],
)
def test_retry_after_in_all_its_forms(text: str, wait: float | None) -> None:
    assert retry_after(text, NOW) == (None if wait is None else pytest.approx(wait))
    assert not math.isnan(wait or 0)
