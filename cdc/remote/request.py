"""What is sent to an app for a call (protocol section 4). Pure.

An SDK in TypeScript reads `ctx.use_api`, one in Python the `use_api` beside `ctx`; TypeScript 4 runs several steps in
one call, and posts their results to us meanwhile, where it is told `ctx.fn_id` and `ctx.qi_id`. Python is strict about
types: `attempt` is an int, an event's `ts` too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import orjson

from cdc.remote.call import Call
from cdc.remote.canonical import rewritten

LARGEST_STATE = 4 * 1024 * 1024
"""Bytes of JSON of events and steps; with more, the SDK has to ask our API for both."""

_OF_A_CALL = {"fnId", "stepId"}


class Request(NamedTuple):
    """What is sent; what `headers` lack is the signature."""

    url: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"


def request(url: str, call: Call, *, signed: bool) -> Request:
    """A call of a function of the app at `url`; canonical JSON where it will be `signed`.

    Raises:
        ValueError: the state has no JSON.
    """
    return Request(address(url, call.function_id, call.target), headers(call), body(call, canonical=signed))


def address(url: str, function_id: str, target: str) -> str:
    """Where a function of an app is called, for one step or to discover steps."""
    return f"{_address(url, function_id)}&stepId={quote(target, safe='')}"


@lru_cache(maxsize=1024)
def _address(url: str, function_id: str) -> str:
    parts = urlsplit(url)
    kept = [each for each in parse_qsl(parts.query, keep_blank_values=True) if each[0] not in _OF_A_CALL]
    query = urlencode([*kept, ("fnId", function_id)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path or "/", query, ""))


def body(call: Call, *, canonical: bool = False) -> bytes:
    """What an SDK is told of a run. Memos may be `orjson.Fragment`s: JSON that is written already.

    Raises:
        ValueError: the state has no JSON.
    """
    written = _written(_document(call, call.events, call.memos, use_api=False))
    if len(written) > LARGEST_STATE and len(_written([call.events, call.memos])) > LARGEST_STATE:
        written = _written(_document(call, (), {}, use_api=True))
    return rewritten(written) if canonical else written


def _document(call: Call, events: Any, memos: Mapping[str, Any], *, use_api: bool) -> dict[str, Any]:
    ctx: dict[str, Any] = {
        "run_id": call.run_id,
        "env": "",
        "step_id": call.target,
        "attempt": call.attempt,
        "max_attempts": call.max_attempts,
        "disable_immediate_execution": call.planned,
        "use_api": use_api,
        "stack": {"stack": list(call.stack), "current": len(call.stack)},
        "request_id": _request_id(call),
        "generation_id": call.number,
        "job_id": _job_id(call),
    }
    if call.claim:
        ctx |= {"fn_id": call.function_id, "qi_id": call.claim}
    return {
        "ctx": ctx,
        "event": call.events[0],  # even of a large state: no SDK asks for it
        "events": list(events),
        "steps": memos,
        "defers": call.defers,
        "use_api": use_api,
        "version": call.version,
    }


def headers(call: Call) -> dict[str, str]:
    """What marks a request as a call of ours."""
    marks = {
        "content-type": "application/json",
        "user-agent": "cdc",
        "x-run-id": call.run_id,
        "x-request-id": _request_id(call),
        "x-inngest-job-id": _job_id(call),
        "x-inngest-generation-id": str(call.number),
        "x-inngest-req-version": str(call.version),
        "x-inngest-step-id": call.target,
    }
    if call.traceparent is not None:
        marks["traceparent"] = call.traceparent
    return marks


def _request_id(call: Call) -> str:
    return f"{call.run_id}.{call.number}"


def _job_id(call: Call) -> str:
    return f"{call.run_id}.{call.target}"


def _written(value: Any) -> bytes:
    """JSON, the slow way where it holds what orjson refuses: long integers, half a pair of surrogates."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, allow_nan=False, default=_fragment).encode()


def _fragment(value: Any) -> Any:
    """The value of one that is written already."""
    if isinstance(value, orjson.Fragment):
        return json.loads(orjson.dumps(value))
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"{type(value).__name__} is no JSON")
