"""Templates to answers. Whatever they are given is escaped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cdc.web.pages import wording

_WEB = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation."""

    path: str
    name: str


PLACES = (
    Place("/overview", "Overview"),
    Place("/events", "Events"),
    Place("/runs", "Runs"),
    Place("/functions", "Functions"),
    Place("/apps", "Apps"),
    Place("/ai", "AI"),
    Place("/embeddings", "Embeddings"),
    Place("/replication", "Replication"),
)


def render(request: Request, template: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
    """A page from a template in `templates/`; its forms carry the session's `csrf`."""
    state = request.scope.get("state", {})
    page = (
        _environment()
        .get_template(template)
        .render(
            **context,
            places=PLACES,
            path=request.url.path,
            here=f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path,
            csrf=state.get("csrf", ""),
            signed_in=state.get("signed_in", False),
        )
    )
    return HTMLResponse(page.encode("utf-8", "backslashreplace"), status_code=status_code)


def missing(request: Request, what: str, back: str) -> HTMLResponse:
    """The page that says that there is no such thing; `back` is the list of those that there are."""
    return render(request, "missing.html", status_code=404, what=what, back=back)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_WEB / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(wording.FILTERS)
    environment.globals["static"] = _static
    return environment


@cache
def _static(name: str) -> str:
    """The address of a file in `static/`, another one when it has changed."""
    content = (_WEB / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"
