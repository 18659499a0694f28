"""Who may: what each path asks for, and whether a request has it. What is not named here asks for the token."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import MutableMapping, Sequence
from enum import Enum, auto
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdc.web.answers import refused
from cdc.web.guard.limits import Attempts, address_of
from cdc.web.guard.sessions import LASTS, Session, Sessions, cookie_name, set_cookie
from cdc.web.guard.terms import Terms, one_of

READS = frozenset({"GET", "HEAD"})

_OPEN = frozenset({"/livez", "/readyz", "/health", "/login", "/logout"})

LISTENING = "/v1/realtime/connect"
"""The one WebSocket."""

_BY_GRANT = frozenset({LISTENING, "/v1/realtime/sse"})
"""Opened by a token of their own, which their routes know."""

_OUTPUT = re.compile(r"/v1/(checkpoint|http/runs)/[^/]+/output")
"""Likewise."""

_SDK = re.compile(
    r"/(fn/(register|remove)|dev|v0/telemetry|v1/(signals|traces/userland|cancellations|checkpoint))"
    r"|/(v0/(runs|connect)|v1/(checkpoint|realtime|http|cancellations)|invoke)/.*"
    r"|/v1/runs/[^/]+/metadata"
)
_CANCELLED = re.compile(r"/v1/runs/[^/]+")


class Asks(Enum):
    """What a path asks for."""

    NOTHING = auto()
    EVENT_KEY = auto()
    METRICS = auto()
    READING = auto()
    SDK = auto()
    GRAPH = auto()
    TOKEN = auto()


FOR_SDKS = frozenset({Asks.SDK, Asks.GRAPH})
"""What is opened by what Inngest's SDKs send for a signing key."""


def asks(method: str, path: str) -> Asks:
    """What a request has to have."""
    if path in _OPEN or path in _BY_GRANT or (path.startswith("/static/") and method in READS):
        return Asks.NOTHING
    if method in READS and _OUTPUT.fullmatch(path):
        return Asks.NOTHING
    if method in ("POST", "OPTIONS") and path.startswith("/e/") and "/" not in path[3:]:
        return Asks.EVENT_KEY
    if path == "/metrics" or path.startswith("/v1/prom/"):
        return Asks.METRICS
    if path == "/v0/gql":
        return Asks.GRAPH
    if _SDK.fullmatch(path) or (method == "DELETE" and _CANCELLED.fullmatch(path)):
        return Asks.SDK
    return Asks.READING if method in READS and path.startswith(("/v0/", "/v1/")) else Asks.TOKEN


class Access:
    """Lets requests through that have what their path asks for; an unknown path asks, too, before it is not found.

    Tells those behind it in the request's state: its `session`, whether somebody is `signed_in`, and `bearer`, whether
    it came with a right header.
    """

    def __init__(self, app: ASGIApp, terms: Terms, sessions: Sessions, *, any_event_key: bool) -> None:
        self._app = app
        self._terms = terms
        self._sessions = sessions
        self._any_event_key = any_event_key
        self._wrong = Attempts(each=30)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket" and scope["path"] != LISTENING:
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self._app(scope, receive, send)
            return
        needed = asks(scope["method"], scope["path"])
        headers = Headers(scope=scope)
        if not self._knows_name(needed, headers.get("host", "")):
            answer: Response | None = refused(400, "The service does not go by this Host; use 127.0.0.1 or localhost.")
        else:
            answer = self._checked(scope, headers, needed)
        if answer is not None:
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, self._renewing(scope, send))

    def _knows_name(self, needed: Asks, host: str) -> bool:
        """A page elsewhere may give a name of its own this machine's address (DNS rebinding), and so reach what asks
        for nothing. What asks for credentials may have any name.
        """
        if self._terms.anywhere:
            return True
        if needed is Asks.EVENT_KEY:
            free = self._any_event_key
        elif needed in FOR_SDKS:
            free = not self._asked_for(needed)
        else:
            free = self._terms.token is None
        return not free or is_loopback(host)

    def _checked(self, scope: Scope, headers: Headers, needed: Asks) -> Response | None:
        """What stands against a request."""
        if needed is Asks.EVENT_KEY:
            return None  # its route knows the keys
        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        state["session"] = self._session(scope, headers)
        state["signed_in"] = state["session"] is not None
        state["bearer"] = False
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if needed is Asks.NOTHING or not self._asked_for(needed) or state["session"]:
            return None
        if scheme.lower() == "bearer" and given:
            # Nobody guesses a signing key: apps behind one address do not lock each other out. And SDKs go on to their
            # other key when, and only when, they hear 401.
            state["bearer"] = one_of(given.strip(), self._signing(needed))
            address = address_of(scope)
            if not state["bearer"] and (wait := self._wrong.wait(address)):
                return _unknown(scope, headers, needed) if needed in FOR_SDKS else too_many(wait)
            state["bearer"] = state["bearer"] or one_of(given.strip(), self._known(needed))
            if state["bearer"]:
                return None
            self._wrong.note(address)
        return _unknown(scope, headers, needed)

    def _asked_for(self, needed: Asks) -> bool:
        """Whether there is anything to ask for. The graph tells all that was taken in: it is not open where any
        credential is set.
        """
        terms = self._terms
        if terms.closed or terms.token is not None:
            return True
        if needed is Asks.METRICS:
            return terms.metrics_token is not None
        if needed is Asks.GRAPH and not (self._any_event_key and terms.metrics_token is None):
            return True
        return needed in FOR_SDKS and bool(terms.reading)

    def _known(self, needed: Asks) -> list[str]:
        terms = self._terms
        extra = [terms.metrics_token] if needed is Asks.METRICS else []
        return [each for each in (terms.token, *extra) if each]

    def _signing(self, needed: Asks) -> Sequence[str]:
        return self._terms.reading if needed is Asks.READING or needed in FOR_SDKS else ()

    def _session(self, scope: Scope, headers: Headers) -> Session | None:
        if self._terms.token is None:
            return None
        value = cookie_parser(headers.get("cookie", "")).get(cookie_name(scope))
        return self._sessions.read(value) if value else None

    def _renewing(self, scope: Scope, send: Send) -> Send:
        session = scope.get("state", {}).get("session")
        renewed = session and self._sessions.renewed(session)
        if not renewed or scope["path"] in _OPEN:
            return send
        cookie = set_cookie(scope, "cdc", self._sessions.written(renewed), lasts=LASTS)

        async def with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), cookie]
            await send(message)

        return with_cookie


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine and nothing that a name server says."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost":
        return True
    try:
        return len(name) < 64 and ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def wants_page(headers: Headers) -> bool:
    """Whether it is a browser that asks, for a page."""
    return "text/html" in headers.get("accept", "")


def too_many(wait: float) -> Response:
    """The answer to who tries too often."""
    seconds = str(math.ceil(wait))
    return refused(429, f"Too many wrong credentials; try again in {seconds} seconds.", {"retry-after": seconds})


def _unknown(scope: Scope, headers: Headers, needed: Asks) -> Response:
    if wants_page(headers):
        query = scope.get("query_string", b"").decode("latin-1")
        path = scope["path"] + (f"?{query}" if query else "")
        to = "/login" if scope["method"] not in READS or path == "/" else f"/login?next={quote(path, safe='/')}"
        return RedirectResponse(to, status_code=303)
    said = "Send the header `Authorization: Bearer <CDC_DASHBOARD_TOKEN>`, or log in at /login."
    if needed in FOR_SDKS:
        said = "An SDK needs the service's CDC_SIGNING_KEY as INNGEST_SIGNING_KEY. " + said
    return refused(401, said, {"www-authenticate": "Bearer"})
