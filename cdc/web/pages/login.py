"""`/login` and `/logout`: the token of the dashboard becomes a session."""

from __future__ import annotations

import math

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.web.guard.access import too_many, wants_page
from cdc.web.guard.forms import checked_form
from cdc.web.guard.gate import Gate
from cdc.web.guard.limits import Attempts, address_of
from cdc.web.guard.sessions import LASTS, set_cookie
from cdc.web.guard.terms import same
from cdc.web.pages.rendering import render

_LONGEST = 2048


class Login:
    """Who may try, and what a page says. Ten wrong tokens a minute from one address, a hundred from all."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._attempts = Attempts(each=10, together=100)

    def routes(self) -> list[Route]:
        """The page, what it sends, and the way out."""
        return [
            Route("/login", self.page, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        """The form; who is logged in, or need not be, goes on."""
        to = own_path(request.query_params.get("next", ""))
        if self._gate.terms.token is None or request.state.session:
            return RedirectResponse(to, status_code=303)
        return _form(request, to)

    async def log_in(self, request: Request) -> Response:
        """The token in the form becomes a session."""
        fields = await checked_form(request)
        to, token = own_path(str(fields.get("next", ""))), self._gate.terms.token
        if token is None:
            return RedirectResponse(to, status_code=303)
        address = address_of(request.scope)
        if wait := self._attempts.wait(address):
            return _refused(request, to, wait)
        if not same(str(fields.get("token", "")).strip(), token):
            self._attempts.note(address)
            return _form(request, to, "That is not the token. It is what CDC_DASHBOARD_TOKEN is set to.", 403)
        self._attempts.forget(address)
        sessions = self._gate.sessions
        answer = RedirectResponse(to, status_code=303)
        answer.raw_headers.append(set_cookie(request.scope, "cdc", sessions.written(sessions.start()), lasts=LASTS))
        return answer

    async def log_out(self, request: Request) -> Response:
        """The browser forgets the session."""
        await checked_form(request)
        answer = RedirectResponse("/login", status_code=303)
        answer.raw_headers.append(set_cookie(request.scope, "cdc", "", lasts=0))
        return answer


def own_path(given: str) -> str:
    """Where to go after the login: a path here, else the first page. Browsers take `//x` for a host."""
    plain = given.startswith("/") and len(given) <= _LONGEST and given.isprintable() and "\\" not in given
    return given if plain and not given.startswith("//") else "/"


def _refused(request: Request, to: str, wait: float) -> Response:
    if not wants_page(request.headers):
        return too_many(wait)
    seconds = math.ceil(wait)
    answer = _form(request, to, f"Too many wrong tokens; try again in {seconds} seconds.", 429)
    answer.headers["retry-after"] = str(seconds)
    return answer


def _form(request: Request, to: str, error: str = "", status: int = 200) -> Response:
    return render(request, "login.html", status_code=status, next=to, problem=error)
