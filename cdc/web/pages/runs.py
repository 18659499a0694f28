"""`/runs`: the latest runs, filtered."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store import looking
from cdc.store.choice import STATUSES
from cdc.web.pages import asked
from cdc.web.pages.rendering import render
from cdc.web.site import Site

PAGE = 50
"""Runs on one page."""


def routes(site: Site) -> list[Route]:
    """The list."""

    async def listed(request: Request) -> Response:
        wanted = asked.runs(request.query_params)
        before = asked.text(request.query_params, "before")
        found: list[dict[str, Any]] = []
        async with site.state() as conn:
            functions = [each["id"] for each in await looking.functions(conn)]
            if wanted.time.problem is None:
                found = await looking.runs(conn, wanted.choice, PAGE + 1, before=before or None)
        older = wanted.address("/runs", before=found[PAGE - 1]["id"]) if len(found) > PAGE else None
        return render(
            request,
            "runs.html",
            topic="runs" if not before else None,
            runs=found[:PAGE],
            older=older,
            asked=wanted,
            functions=functions,
            statuses=STATUSES,
            spans=asked.SPANS,
            csv=wanted.address("/v1/runs", format="csv"),
            problem=wanted.time.problem,
        )

    return [Route("/runs", listed)]
