"""What SDKs send, and how they are answered: errors are `{"error": "a sentence", "status": 404}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cdc.store.json import encoded, loads

JSON = "application/json"


class Json(Response):
    """JSON on one line."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        """The body."""
        return encoded(content)


def gone(error: str) -> Json:
    """The answer of what is no more."""
    return Json({"error": error, "status": 410}, status_code=410)


async def json_of(request: Request) -> Any:
    """The body of a request, whatever it says that it is; nothing is an empty object.

    Raises:
        HTTPException: it is no JSON.
    """
    body = await request.body()
    try:
        return loads(body) if body else {}
    except (ValueError, RecursionError):
        raise HTTPException(400, "The body is not JSON.") from None


async def object_of(request: Request) -> Mapping[str, Any]:
    """The same, of one that must be an object.

    Raises:
        HTTPException: it is no JSON, or not an object.
    """
    read = await json_of(request)
    if not isinstance(read, dict):
        raise HTTPException(400, "The body is not an object.")
    return read


def run_of(request: Request) -> str | None:
    """The run in the path; None where nothing can have that id."""
    return uuid_of(request.path_params["run"])


def uuid_of(text: object) -> str | None:
    """An id as it is stored; None where nothing can have it."""
    try:
        return str(UUID(str(text)))
    except ValueError:
        return None
