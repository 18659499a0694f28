"""`/runs`: the latest runs, filtered."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store import listing, looking
from cdc.store.choice import STATUSES
from cdc.store.listing import Page
from cdc.web.api import cursors
from cdc.web.pages import asked
from cdc.web.pages.rendering import render
from cdc.web.site import Site

PAGE = 50
"""Runs on one page."""


def routes(site: Site) -> list[Route]:
    """The list."""

    async def listed(request: Request) -> Response:
        wanted = asked.runs(request.query_params)
        cursor = asked.text(request.query_params, "cursor")
        found: Page[str] = Page([])
        async with site.state() as conn:
            functions = [each["id"] for each in await looking.functions(conn)]
            if wanted.time.problem is None:
                found = await listing.runs(conn, wanted.choice, PAGE, after=cursors.run(cursor or None))
        older = wanted.address("/runs", cursor=cursors.after_run(found.next)) if found.next else None
        return render(
            request,
            "runs.html",
            topic="runs" if not cursor else None,
            runs=found.rows,
            older=older,
            asked=wanted,
            functions=functions,
            statuses=STATUSES,
            spans=asked.SPANS,
            csv=wanted.address("/v1/runs", format="csv"),
            problem=wanted.time.problem,
        )

    return [Route("/runs", listed)]
