"""`GET /openapi.json`: the API described, made from the code that serves it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from cdc.web.answers import Json

ABOUT: dict[str, Any] = {
    "title": "cdc",
    "version": version("cdc"),
    "summary": "Changes of Postgres rows start durable functions.",
}


async def answer(request: Request) -> Response:
    """The document."""
    return Json(of(request.app))


@cache
def of(app: FastAPI) -> dict[str, Any]:
    """The document of an application."""
    return get_openapi(**ABOUT, routes=app.routes)
