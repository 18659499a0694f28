"""`/runs/many`: cancel or replay all runs of a choice, after a page that says which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.events import bulk
from cdc.events.bulk import Rest
from cdc.events.hands import to_cancel, to_replay
from cdc.store import listing
from cdc.store.listing import Page
from cdc.web.guard.forms import checked_form
from cdc.web.pages import asked
from cdc.web.pages.rendering import render
from cdc.web.site import Site

_SHOWN = 10
"""Runs that are shown before something is done to all of them."""

_ACTS = {"cancel": to_cancel, "replay": to_replay}


def routes(site: Site) -> list[Route]:
    """The page that asks, and where it leads."""

    async def asking(request: Request) -> Response:
        query = request.query_params
        act = query.get("act") if query.get("act") in _ACTS else "cancel"
        wanted = asked.runs(query)
        chosen = _ACTS[str(act)](wanted.choice)
        found: Page[str] = Page([])
        if chosen.statuses:
            async with site.state() as conn:
                found = await listing.runs(conn, chosen, _SHOWN)
        return render(
            request,
            "many.html",
            act=act,
            asked=wanted.with_statuses(chosen.statuses or ()),
            runs=found.rows,
            more=found.next is not None,
            most=bulk.MOST,
            done=_done(query),
            rest=asked.text(query, "rest"),
            problem=wanted.time.problem,
        )

    async def doing(request: Request) -> Response:
        given = await checked_form(request)
        act = "replay" if given.get("act") == "replay" else "cancel"
        wanted = asked.runs(given)
        address = {"act": act}
        if wanted.time.problem is None:
            rest = _rest(asked.text(given, "rest"))
            async with site.hands() as hands:
                if act == "cancel":
                    done = await bulk.cancel(hands, wanted.choice, "cancelled on the dashboard", rest, most=bulk.MOST)
                else:
                    done = await bulk.replay(hands, wanted.choice, rest, most=bulk.MOST)
            address |= {"seen": str(done.seen), "changed": str(done.changed)}
            address |= {"rest": done.rest.text()} if done.rest else {}
        return RedirectResponse(wanted.address("/runs/many", **address), 303)

    return [Route("/runs/many", asking), Route("/runs/many", doing, methods=["POST"])]


def _rest(text: str) -> Rest | None:
    """What is left, where a page before told; from the beginning where nobody did."""
    try:
        return Rest.read(text) if text else None
    except ValueError:
        return None


def _done(query: Mapping[str, Any]) -> dict[str, int] | None:
    """What the page before has done."""
    try:
        return {name: int(query[name]) for name in ("seen", "changed")}
    except (KeyError, ValueError):
        return None
