"""What a form carries, read before it reaches its route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

MOST_BYTES = 4 * 1024 * 1024
_MOST_FIELDS = 200


class Unreadable(Exception):
    """A form that is not read: a status, and why."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


def kind_of(headers: Headers) -> str:
    """The type of what a request carries, without its parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def read(receive: Receive) -> tuple[FormData, Receive]:
    """The fields of a form, and what gives its body once more to whoever reads it next.

    Raises:
        Unreadable: it is too large, no form, or did not arrive.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Unreadable(400, "The form did not arrive whole.")
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise Unreadable(413, f"A form has at most {MOST_BYTES} bytes.")
        if not message.get("more_body", False):
            break
    try:
        fields: list[tuple[str, str | UploadFile]] = [
            *parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        ]
    except ValueError:
        raise Unreadable(400, "The form cannot be read.") from None
    given: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def again() -> Message:
        return given.pop() if given else await receive()

    return FormData(fields), again


async def checked_form(request: Request) -> FormData:
    """The fields of a form that is from a page of ours: `SameOrigin` has seen to that.

    Raises:
        HTTPException: the request carries none.
    """
    state: Mapping[str, Any] = request.scope.get("state", {})
    form = state.get("form")
    if not isinstance(form, FormData):
        raise HTTPException(415, f"Send it as a form, with the header content-type: {FORM}.")
    return form
