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

from cdc.web.guard.limits import MOST_DEPTH, too_deep

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


def refused(status: int, error: str, headers: Mapping[str, str] | None = None) -> Json:
    """What a refused or failed request is answered: the one shape of errors, with a sentence that says what to do."""
    return Json({"error": error, "status": status}, status_code=status, headers=headers)


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


def uuid_of(text: str, what: str = "run") -> str:
    """An id in a path or a query.

    Raises:
        HTTPException: nothing can have it.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise HTTPException(404, f"There is no such {what}.") from None


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
