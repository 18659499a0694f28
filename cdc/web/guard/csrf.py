"""A page elsewhere cannot have a browser act here: where a request comes from, and what a form has to carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import FormData, Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdc.web.guard.access import READS, Asks, asks
from cdc.web.guard.refused import refused
from cdc.web.guard.sessions import Sessions, cookie_name, is_nonce, new_nonce, set_cookie
from cdc.web.guard.terms import same

FORM = "application/x-www-form-urlencoded"

_SAFE = READS | {"OPTIONS"}
_VISITOR = "cdc-visitor"
_REMEMBERED = 24 * 3600
_MOST_FIELDS = 200
_MOST_BYTES = 1024 * 1024


class SameOrigin:
    """Refuses what would change something and comes from a page elsewhere; gives forms their field.

    `csrf` in the request's state is what a form has to carry in a field of that name. It belongs to the session, or
    where nobody logs in to a random cookie that comes with the page.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or asks(scope["method"], scope["path"]) is Asks.EVENT_KEY:
            await self._app(scope, receive, send)
            return
        headers, state = Headers(scope=scope), scope.setdefault("state", {})
        answer = None if scope["method"] in _SAFE or state.get("bearer") else _foreign(scope["method"], headers)
        if answer is not None:
            await answer(scope, receive, send)
            return
        if session := state.get("session"):
            state["csrf"] = self._sessions.field(session.nonce)
            await self._app(scope, receive, send)
            return
        nonce = cookie_parser(headers.get("cookie", "")).get(cookie_name(scope, _VISITOR), "")
        known = is_nonce(nonce)
        nonce = nonce if known else new_nonce()
        state["csrf"] = self._sessions.field(nonce)
        await self._app(scope, receive, send if known else _remembering(scope, nonce, send))


def _foreign(method: str, headers: Headers) -> Response | None:
    """What stands against a request that would change something.

    Browsers say where it comes from, in one of two headers. What says neither is no browser: it must be what a page
    elsewhere could not have one send without asking first, which is answered with no.
    """
    if site := headers.get("sec-fetch-site"):
        ours = site in ("same-origin", "none")
    elif origin := headers.get("origin"):
        ours = _host(origin) == headers.get("host", "").lower()
    elif method == "POST" and kind_of(headers) != "application/json":
        return refused(415, "Send it as JSON, with the header content-type: application/json.")
    else:
        ours = True
    return None if ours else refused(403, "This came from a page that is not ours; it was not done.")


def kind_of(headers: Headers) -> str:
    """The type of what a request carries, without its parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _remembering(scope: Scope, nonce: str, send: Send) -> Send:
    """Sets a visitor's cookie with a page; nothing else has forms."""

    async def with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if any(name.lower() == b"content-type" and value.startswith(b"text/html") for name, value in headers):
                message["headers"] = [*headers, set_cookie(scope, _VISITOR, nonce, lasts=_REMEMBERED)]
        await send(message)

    return with_cookie


async def checked_form(request: Request, most: int = _MOST_BYTES) -> FormData:
    """The fields of a form that was on a page of ours. Every route of a form reads it by this.

    Raises:
        HTTPException: it is no form, too large, or carries not what our pages give their forms.
    """
    if kind_of(request.headers) != FORM:
        raise HTTPException(415, f"Send it as a form, with the header content-type: {FORM}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, f"A form has at most {most} bytes.")
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise HTTPException(400, "The form cannot be read.") from None
    expected, given = _state(request).get("csrf"), dict(fields).get("csrf", "")
    if not expected or not same(given, expected):
        raise HTTPException(403, "The form is out of date: load its page again, and send it from there.")
    return FormData([(name, value) for name, value in fields if name != "csrf"])


def _state(request: Request) -> Mapping[str, Any]:
    state: Mapping[str, Any] = request.scope.get("state", {})
    return state
