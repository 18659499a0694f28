"""`GET /openapi.json`: the API described, made from the code that serves it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from cdc.web.answers import Json
from cdc.web.api import sent

ABOUT: dict[str, Any] = {
    "title": "cdc",
    "version": version("cdc"),
    "summary": "Changes of Postgres rows start durable functions.",
}

_FRAMEWORKS = ("HTTPValidationError", "ValidationError")
"""Shapes of errors that are none of ours."""


async def answer(request: Request) -> Response:
    """The document."""
    app: FastAPI = request.app
    if app.openapi_schema is None:
        app.openapi_schema = of(app)
    return Json(app.openapi_schema)


def of(app: FastAPI) -> dict[str, Any]:
    """The document of an application."""
    made = get_openapi(**ABOUT, routes=app.routes)
    made["paths"]["/e/{key}"] = {"post": sent.OPERATION}
    schemas = made["components"]["schemas"]
    for name in _FRAMEWORKS:
        schemas.pop(name, None)
    schemas |= {model.__name__: _schema(model) for model in sent.MODELS}
    for path in made["paths"].values():
        for operation in path.values():
            _told_as_it_is(operation)
    return made


def _told_as_it_is(operation: dict[str, Any]) -> None:
    """What cannot be used is answered with 400; and a body may be empty, but not be missing its content type."""
    if "HTTPValidationError" in str(operation["responses"].get("422")):
        del operation["responses"]["422"]
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True


def _schema(model: type[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return schema
