"""What the caller of an endpoint is answered with, who was sent to its run's output; and the token that he has. Pure.

A run's result is what JavaScript makes of the handler's answer: `{status, headers, body}`, where the text of an answer
that we called for is written as JSON once more.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from cdc.store.endpoints import Found

JSON, TEXT = "application/json", "text/plain; charset=utf-8"


class Answered(NamedTuple):
    """Never a type that a browser executes: it is served where the dashboard is."""

    status: int
    type: str
    body: str


def token(key: bytes, run_id: str) -> str:
    """What opens the output of one run; the same whenever it is asked for."""
    return hmac.digest(key, b"output:" + run_id.encode(), hashlib.sha256).hex()


def is_token(key: bytes, run_id: str, given: str) -> bool:
    """Whether it is that run's; how long that takes tells nothing of it."""
    return hmac.compare_digest(token(key, run_id).encode(), given.encode(errors="replace"))


def answered(found: Found, *, for_sdk: bool) -> Answered:
    """The answer of a run that has ended. An SDK that fetches it for others reads only JSON."""
    if found.status != "completed":
        error = found.error if isinstance(found.error, Mapping) else {}
        told = {"name": error.get("name") or "Error", "message": error.get("message") or f"The run was {found.status}."}
        return Answered(500, JSON, json.dumps({"error": told}))
    status, body = _result(found.output)
    try:
        value = json.loads(body)
    except ValueError:
        return _text(status, body, for_sdk=for_sdk)
    if not isinstance(value, str):
        return Answered(status, JSON, body)
    try:
        json.loads(value)
    except ValueError:
        return _text(status, value, for_sdk=for_sdk)
    return Answered(status, JSON, value)


def _text(status: int, text: str, *, for_sdk: bool) -> Answered:
    return Answered(status, JSON, json.dumps(text)) if for_sdk else Answered(status, TEXT, text)


def _result(output: Any) -> tuple[int, str]:
    if isinstance(output, Mapping) and isinstance(output.get("body"), str):
        status = output.get("status")
        return (status if isinstance(status, int) and 200 <= status < 600 else 200), output["body"]
    return 200, json.dumps(output)
