"""What SDKs read of steps and events. The shapes are those of the protocol; Python's SDK reads them here."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from inngest._internal.step_lib.base import Output, StepMemos

from cdc.authoring.event import Event
from cdc.remote.memos import hashed, memo, told_event

EVENT = {"id": "a", "name": "x/y", "data": {"n": 1}, "ts": 5, "user": {}}
SIGNALLED = {"id": "a", "name": "cdc/signal.pay/1", "data": {"n": 1}, "ts": 5, "user": {}, "v": None}
THROWN = {"name": "TypeError", "message": "no", "stack": "at f", "code": "secret"}


def test_a_step_is_known_by_the_hash_of_its_id() -> None:
    assert hashed("a") == "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
    assert hashed("é:1") == hashlib.sha1("é:1".encode()).hexdigest()


def test_a_step_whose_id_was_not_told_is_known_by_what_was() -> None:
    assert hashed("#" + "ab" * 20) == "ab" * 20
    assert hashed("#1") == hashlib.sha1(b"#1").hexdigest(), "an author's own id may begin so, too"


@pytest.mark.parametrize(
    ("kind", "data", "error", "told"),
    [
        ("run", {"data": 1}, None, {"data": {"data": 1}}),
        ("run", None, None, {"data": None}),
        ("run", None, THROWN, {"error": {"name": "TypeError", "message": "no", "stack": "at f"}}),
        ("run", None, {"message": 7}, {"error": {"name": "Error", "message": "7"}}),
        ("sleep", None, None, None),
        ("wait", {**EVENT, "v": None}, None, EVENT),
        ("wait", {**EVENT, "v": "2"}, None, {**EVENT, "v": "2"}),
        ("wait", SIGNALLED, None, {"data": {"signal": "pay/1", "data": {"n": 1}}}),
        ("wait", None, None, None),
        ("invoke", [1], None, {"data": [1]}),
        ("infer", {"choices": []}, None, {"data": {"choices": []}}),
        ("fetch", {"status_code": 200}, None, {"data": {"status_code": 200}}),
        (
            "invoke",
            None,
            {"name": "FunctionUnknown", "message": "there is no function 'app-fn'"},
            {"error": {"name": "Error", "message": "could not find function with ID: app-fn"}},
        ),
    ],
)
def test_a_memo_has_the_shape_of_its_kind(kind: str, data: Any, error: dict[str, Any] | None, told: Any) -> None:
    assert memo(kind, data, error) == told


def test_an_invocation_that_took_too_long_is_told_in_the_sdks_words() -> None:
    told = memo("invoke", None, {"name": "InvokeTimeout", "message": "the invoked run did not end in time"})["error"]
    assert told["name"] == "InngestInvokeTimeoutError"
    assert told["message"] == told["error"] == "Timed out waiting for invoked function to complete"


def test_the_sdk_of_python_takes_each_for_what_it_is() -> None:
    raw = {
        "ran": memo("run", {"error": 1}, None),
        "failed": memo("run", None, THROWN),
        "came": memo("wait", {**EVENT, "v": None}, None),
        "slept": memo("sleep", None, None),
    }
    memos = StepMemos.from_raw(raw)
    ran, failed, came, slept = [each for each in map(memos.pop, raw) if isinstance(each, Output)]
    assert (ran.data, came.data, slept.data) == ({"error": 1}, EVENT, None)
    assert failed.error is not None
    assert failed.error.name == "TypeError"


def test_an_event_is_told_without_what_its_sender_did_not_give() -> None:
    assert told_event(Event("x/y", {"n": 1}, "a", 5, traceparent="00-..")) == EVENT
