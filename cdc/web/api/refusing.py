"""What is refused, or fails, in the one shape that errors have: `{"error": "a sentence", "status": 404}`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cdc.store.failures import ConnectionTrouble, PoolTimeout, StatementFailed, about_a_value
from cdc.web.answers import refused

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

_SAYS = {
    404: "There is nothing at this address; GET /openapi.json lists what there is.",
    405: "The address is right, the method is not.",
}


async def _refused(request: Request, error: HTTPException) -> Response:
    said = str(error.detail)
    if said == HTTPStatus(error.status_code).phrase:  # nobody said more: the router
        said = _SAYS.get(error.status_code, f"{said}.")
    return refused(error.status_code, said, error.headers)


async def _unusable(request: Request, error: RequestValidationError) -> Response:
    return refused(400, _sentence(error.errors()))


async def _unavailable(request: Request, error: Exception) -> Response:
    return refused(503, "The state database does not answer; try again.", {"retry-after": "1"})


async def _statement_failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, StatementFailed), "registered for it only"
    if not about_a_value(error):
        raise error
    return refused(400, "A value in the request is one that the database cannot hold, such as a text with a NUL.")


async def _no_unicode(request: Request, error: UnicodeEncodeError) -> Response:
    return refused(400, "A text in the request is no Unicode: it has half a surrogate pair.")


async def _failed(request: Request, error: Exception) -> Response:
    return refused(500, "The service failed at this; its log tells why.")


HANDLERS: dict[int | type[Exception], Handler] = {
    HTTPException: _refused,
    RequestValidationError: _unusable,
    UnicodeEncodeError: _no_unicode,
    StatementFailed: _statement_failed,
    **dict.fromkeys((*ConnectionTrouble, PoolTimeout), _unavailable),
    Exception: _failed,
}
"""By what was raised."""


_WRONG = {
    "string_type": "is not a text",
    "string_too_short": "is empty",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "bool_type": "is neither true nor false",
    "list_type": "is not a list",
    "dict_type": "is not an object",
    "model_type": "is not an object",
    "model_attributes_type": "is not an object",
    "missing": "is missing",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "string_pattern_mismatch": "does not look as it must",
    "literal_error": "must be {expected}",
    "value_error": "cannot be used: {error}",
}
"""By pydantic's name of what is wrong; others are told in its words."""


def _sentence(errors: Sequence[Any]) -> str:
    """The first thing that is wrong with a request."""
    first = errors[0]
    where, *path = first["loc"]
    named = ".".join(str(part) for part in path if not isinstance(part, int)) or f"The {where}"
    if first["type"] == "extra_forbidden":
        return f"There is no field {named[:100]!r} here."
    told = _WRONG[kind].format_map(first.get("ctx", {})) if (kind := first["type"]) in _WRONG else str(first["msg"])
    if path and isinstance(path[-1], int):
        named = f"{named}, at {path[-1]},"
    return f"{named} {told.rstrip('.')}."
