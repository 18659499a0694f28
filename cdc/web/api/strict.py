"""How every route of the API reads a request: what it does not know is refused, not passed over."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from cdc.store.json import loads
from cdc.web.answers import body_of
from cdc.web.site import Site

_CHANGE = {"POST", "PUT", "PATCH", "DELETE"}


async def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


Here = Annotated[Site, Depends(_site)]
"""What a route works with."""


class Strict(APIRoute):
    """A route that answers HEAD as GET, and refuses queries with unknown parameters and bodies that are no JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """How a request is read and answered."""
        handle = super().get_route_handler()
        known = sorted(set(_parameters(self.dependant)))

        async def strict(request: Request) -> Response:
            for name in request.query_params:
                if name not in known:
                    raise HTTPException(400, _unknown(name, known))
            if request.method in _CHANGE:
                request = _Read(request, await body_of(request))
            return await handle(request)

        return strict

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this route is the one."""
        return super().matches(_as_get(scope))

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await super().handle(_as_get(scope), receive, send)


class _Read(Request):
    """A request whose body is read already."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._bytes = body

    async def body(self) -> bytes:
        return self._bytes

    async def json(self) -> Any:
        try:
            return loads(self._bytes)
        except (ValueError, RecursionError):
            raise HTTPException(400, "The body is not JSON.") from None


def _as_get(scope: Scope) -> Scope:
    return {**scope, "method": "GET"} if scope.get("method") == "HEAD" else scope


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _unknown(name: str, known: list[str]) -> str:
    said = f"There is no parameter {name[:100]!r} here"
    if near := difflib.get_close_matches(name, known, 1):
        return f"{said}; is {near[0]!r} meant?"
    return f"{said}; there are {', '.join(known)}." if known else f"{said}, nor any other."
