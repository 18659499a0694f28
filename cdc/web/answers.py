"""What requests carry and answers look like."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cdc import clock
from cdc.store.choice import STATUSES, Choice
from cdc.store.json import document, loads
from cdc.web.guard.limits import MOST_DEPTH, too_deep

MOST = 100
"""Rows in one answer."""

MOST_BYTES = 32 * 1024 * 1024
"""Of one request."""


class Json(Response):
    """A JSON answer; datetimes in RFC 3339."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body; what orjson refuses and JSON allows (lone surrogates, large integers) goes the slow way."""
        try:
            return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        except orjson.JSONEncodeError:
            return f"{json.dumps(content, default=_text, indent=2)}\n".encode()


class Dense(Json):
    """The same on one line, with numpy's arrays: for answers of many numbers."""

    def render(self, content: Any) -> bytes:
        """The body."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


async def body_of(request: Request) -> bytes:
    """The body of a request that changes something.

    It must say that it is JSON: a page elsewhere cannot have a browser send that without asking here first, which is
    answered with no.

    Raises:
        HTTPException: it is no JSON, too large or too deep.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "Send it as JSON, with the header content-type: application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, f"A request has at most {MOST_BYTES} bytes.")
    if too_deep(body):
        raise HTTPException(400, f"The body has more than {MOST_DEPTH} lists and objects within each other.")
    return bytes(body)


async def object_of(request: Request) -> dict[str, Any]:
    """The JSON object that a request carries; an empty body is an empty one.

    Raises:
        HTTPException: it is none.
    """
    body = await body_of(request)
    try:
        found = loads(body) if body else {}
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "The body is not a JSON object.")
    return found


def data_of(found: Mapping[str, Any]) -> bytes:
    """The field `data` of a request, which may be left out.

    Raises:
        HTTPException: it is no object.
    """
    data = found.get("data")
    if data is not None and not isinstance(data, dict):
        raise HTTPException(400, "data is not an object.")
    return document(data or {}).encode()


def choice_of(request: Request) -> Choice:
    """The runs that the query asks for.

    Raises:
        HTTPException: one of its parts cannot be used.
    """
    functions, statuses = request.query_params.getlist("function"), request.query_params.getlist("status")
    if unknown := set(statuses) - set(STATUSES):
        raise HTTPException(400, f"There is no status {min(unknown)!r}; there are {', '.join(STATUSES)}.")
    return Choice(functions or None, statuses or None, _time_of(request, "since"), _time_of(request, "until"))


def limit_of(request: Request) -> int:
    """How many rows the query asks for.

    Raises:
        HTTPException: it is not a number in range.
    """
    try:
        limit = int(request.query_params.get("limit", MOST))
    except ValueError:
        limit = 0
    if not 1 <= limit <= MOST:
        raise HTTPException(400, f"limit must be a number from 1 to {MOST}.")
    return limit


def uuid_of(text: str, what: str = "run") -> str:
    """An id in a path or a query.

    Raises:
        HTTPException: nothing can have it.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise HTTPException(404, f"There is no such {what}.") from None


def _time_of(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    try:
        return clock.past(text) if text else None
    except ValueError as unusable:
        raise HTTPException(400, f"{name}: {unusable}") from None


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
