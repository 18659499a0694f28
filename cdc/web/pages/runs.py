"""`/runs`: the latest runs, filtered."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.events.hands import to_cancel, to_replay
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
        after = asked.cursor(request.query_params, cursors.run)
        async with site.state() as conn:
            functions = [each["id"] for each in await looking.functions(conn)]
            found: Page[str] = Page([])
            if wanted.time.problem is None:
                found = await listing.runs(conn, wanted.choice, PAGE, after=after)
        return render(
            request,
            "runs.html",
            topic=None if after else "runs",
            runs=found.rows,
            older=found.next and wanted.address("/runs", cursor=cursors.after_run(found.next)),
            searched_until=found.searched_until,
            first=wanted.address("/runs") if after else None,
            asked=wanted,
            functions=functions,
            statuses=STATUSES,
            spans=asked.SPANS,
            csv=wanted.table,
            cancellable=to_cancel(wanted.choice).statuses and wanted.address("/runs/many", act="cancel"),
            replayable=to_replay(wanted.choice).statuses and wanted.address("/runs/many", act="replay"),
            problem=wanted.time.problem,
        )

    return [Route("/runs", listed)]
