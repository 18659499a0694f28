"""Counts requests by route: by its template, never by the path, of which there may be any number."""

from __future__ import annotations

from collections import Counter

from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNMATCHED = "unmatched"
"""The route of requests that there is none for."""


class Requests:
    """Middleware that counts answers by (route, status code)."""

    def __init__(self, app: ASGIApp, counts: Counter[tuple[str, int]]) -> None:
        self._app = app
        self._counts = counts
        self._templates: dict[object, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count; what fails before it is answered is answered with 500 outside."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code = 0

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                self._counts[self._route(scope), code] += 1
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if not code:
                self._counts[self._route(scope), 500] += 1
            raise

    def _route(self, scope: Scope) -> str:
        """Known only once the router has found it."""
        if not self._templates:
            for each in scope["app"].routes:
                if isinstance(each, Route | Mount):
                    endpoint = each.endpoint if isinstance(each, Route) else each.app
                    self._templates.setdefault(endpoint, each.path)
        return self._templates.get(scope.get("endpoint"), UNMATCHED)
