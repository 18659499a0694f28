"""The page of apps: those written with Inngest's SDKs, their functions, and whether they could be synced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.store import apps as stored
from cdc.web.guard.forms import checked_form
from cdc.web.pages.rendering import missing, render
from cdc.web.site import Apps, Site

_NOTICES = {
    "sync": "The app told its functions; they are in force.",
    "remove": "The app is removed. Its functions start no more runs.",
}


def routes(site: Site) -> list[Route]:
    """Looking, adding, asking and removing."""

    async def page(request: Request, status_code: int = 200, **besides: object) -> Response:
        async with site.state() as conn:
            listed = await stored.listed(conn)
        shown = {"notice": _NOTICES.get(request.query_params.get("done", "")), "typed": "", "invalid": None, **besides}
        return render(request, "apps.html", status_code=status_code, apps=listed, asks=site.apps is not None, **shown)

    async def all_of_them(request: Request) -> Response:
        return await page(request)

    async def add(request: Request) -> Response:
        typed = _text(await checked_form(request), "url").strip()
        try:
            return _done(await _asking(site).add(typed))
        except ValueError as unusable:
            return await page(request, 400, typed=typed, invalid=f"This cannot be an app: {unusable}.")

    async def sync(request: Request) -> Response:
        try:
            return _done(await _asking(site).sync(_text(await checked_form(request), "app")))
        except LookupError:
            return missing(request, "app", "/apps")

    async def remove(request: Request) -> Response:
        name = _text(await checked_form(request), "app")
        async with site.state() as conn:
            removed = await stored.remove(conn, name)
        site.wake()
        return RedirectResponse("/apps?done=remove", 303) if removed else missing(request, "app", "/apps")

    asking = [
        Route("/apps/add", add, methods=["POST"]),
        Route("/apps/sync", sync, methods=["POST"]),
    ]
    return [
        Route("/apps", all_of_them),
        *(asking if site.apps else []),
        Route("/apps/remove", remove, methods=["POST"]),
    ]


def _asking(site: Site) -> Apps:
    assert site.apps is not None, "without it these routes are not served"
    return site.apps


def _text(form: FormData, name: str) -> str:
    return str(form.get(name, ""))


def _done(app: Mapping[str, Any] | None) -> Response:
    """Back to the page, which shows of each app what is wrong with it."""
    good = app is not None and not app["error"]
    return RedirectResponse("/apps?done=sync" if good else "/apps", status_code=303)
