"""A page elsewhere cannot have a browser act here: where a request comes from, and what a form has to carry."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cdc.web.answers import refused
from cdc.web.guard.access import FOR_SDKS, READS, Asks, asks
from cdc.web.guard.forms import FORM, MULTIPART, Unreadable, kind_of, read
from cdc.web.guard.sessions import Sessions, cookie_name, is_nonce, new_nonce, set_cookie
from cdc.web.guard.terms import same

_SAFE = READS | {"OPTIONS"}
_VISITOR = "cdc-visitor"
_REMEMBERED = 24 * 3600
_FORMS = frozenset({FORM, MULTIPART, "text/plain"})


class SameOrigin:
    """Refuses what would change something and comes from a page elsewhere, and every form without its field.

    `csrf` in the request's state is what a form has to carry in a field of that name. It belongs to the session, or
    where nobody logs in to a random cookie that comes with the page. It is looked for here, not in routes, so that none
    forgets to.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        needed = asks(scope["method"], scope["path"]) if scope["type"] == "http" else Asks.EVENT_KEY
        if needed is Asks.EVENT_KEY:
            await self._app(scope, receive, send)
            return
        headers, state = Headers(scope=scope), scope.setdefault("state", {})
        nonce, known = self._nonce(scope, headers)
        state["csrf"] = self._sessions.field(nonce)
        if scope["method"] not in _SAFE:
            any_kind = needed in FOR_SDKS
            answer = None if state.get("bearer") else _foreign(scope["method"], headers, any_kind=any_kind)
            if answer is None and kind_of(headers) in (FORM, MULTIPART):
                answer, receive = await _form(headers, state, receive)
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send if known else _remembering(scope, nonce, send))

    def _nonce(self, scope: Scope, headers: Headers) -> tuple[str, bool]:
        """What forms are bound to, and whether the browser has it already."""
        if session := scope["state"].get("session"):
            return session.nonce, True
        nonce = cookie_parser(headers.get("cookie", "")).get(cookie_name(scope, _VISITOR), "")
        return (nonce, True) if is_nonce(nonce) else (new_nonce(), False)


def _foreign(method: str, headers: Headers, *, any_kind: bool) -> Response | None:
    """What stands against a request that would change something.

    Browsers say where it comes from, in one of two headers. What says neither is no browser: it must be what a page
    elsewhere could not have one send without asking first, which is answered with no. SDKs send `any_kind`, and none:
    there it need only be what no form of an old browser sends.
    """
    if site := headers.get("sec-fetch-site"):
        ours = site in ("same-origin", "none")
    elif origin := headers.get("origin"):
        ours = _host(origin) == headers.get("host", "").lower()
    elif method == "POST" and (kind_of(headers) in _FORMS if any_kind else kind_of(headers) != "application/json"):
        return refused(415, "Send it as JSON, with the header content-type: application/json.")
    else:
        ours = True
    return None if ours else refused(403, "This came from a page that is not ours; it was not done.")


async def _form(headers: Headers, state: MutableMapping[str, Any], receive: Receive) -> tuple[Response | None, Receive]:
    """What stands against a form, which is in the state from now on; and what gives its body once more."""
    if kind_of(headers) != FORM:
        return refused(415, f"Send it as a form, with the header content-type: {FORM}."), receive
    try:
        form, receive = await read(receive)
    except Unreadable as unreadable:
        return refused(unreadable.status, unreadable.error), receive
    if not state.get("bearer") and not same(str(form.get("csrf", "")), state["csrf"]):
        return refused(403, "The form is out of date: load its page again, and send it from there."), receive
    state["form"] = form
    return None, receive


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
