"""`/events`: the latest events, filtered."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store import listing, looking
from cdc.store.listing import EventKey, Page
from cdc.store.started import Accepted, started
from cdc.web.api import cursors
from cdc.web.pages import asked
from cdc.web.pages.rendering import render
from cdc.web.pages.sending import names_of
from cdc.web.site import Site

PAGE = 50
"""Events on one page."""


def routes(site: Site) -> list[Route]:
    """The list."""

    async def listed(request: Request) -> Response:
        wanted = asked.events(request.query_params)
        after = asked.cursor(request.query_params, cursors.event)
        async with site.state() as conn:
            names = names_of(await looking.functions(conn), rows=True)
            found: Page[EventKey] = Page([])
            if wanted.time.problem is None:
                found = await listing.events(conn, wanted.which, PAGE, after=after)
            runs = await started(conn, [Accepted(event["id"], event["accepted_at"]) for event in found.rows])
        return render(
            request,
            "events.html",
            topic=None if after else "events",
            events=[_shown(event, runs.get(event["id"], {})) for event in found.rows],
            older=found.next and wanted.address("/events", cursor=cursors.after_event(found.next)),
            searched_until=found.searched_until,
            first=wanted.address("/events") if after else None,
            asked=wanted,
            names=sorted({*names, *(event["name"] for event in found.rows)}),
            spans=asked.SPANS,
            problem=wanted.time.problem,
        )

    return [Route("/events", listed)]


def _shown(event: dict[str, Any], runs: dict[str, int]) -> dict[str, Any]:
    """With the row that it is about, where it is, and where it comes from."""
    data, words, origin = event["data"], event["data"], "sent"
    if event["name"].startswith("db/"):
        origin = "row"
        if isinstance(data, dict):
            words, origin = data.get("new") or data.get("old") or data, str(data.get("source", origin))
    elif event["name"].startswith(("cdc/", "inngest/")):
        origin = "service"
    return {**event, "words": words, "origin": origin, "runs": runs}
