"""Before it is known that the state is the watched database's, nothing is changed: it may be a copy of production's."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from cdc.web.answers import refused

_READS = {"GET", "HEAD", "OPTIONS"}
_SESSIONS = {"/login", "/logout"}

_ANSWER = refused(
    503,
    "It is not known yet whether the state belongs to the watched database; nothing was changed. Try again.",
    {"retry-after": "1"},
)


class Held:
    """Answers what would change something with 503 until it is `confirmed`."""

    def __init__(self, app: ASGIApp, confirmed: Callable[[], bool]) -> None:
        self._app = app
        self._confirmed = confirmed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in _READS or scope["path"] in _SESSIONS or self._confirmed():
            await self._app(scope, receive, send)
            return
        await _ANSWER(scope, receive, send)
