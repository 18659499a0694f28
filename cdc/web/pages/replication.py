"""The page of replication: how changes come from each source, and what the doctor says."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store import gaps
from cdc.web.pages.rendering import render
from cdc.web.site import Replication, Site


def routes(site: Site) -> list[Route]:
    """The doctor takes seconds, and is asked on its own page."""
    if site.replication is None:
        return []
    replication = site.replication

    async def page(request: Request) -> Response:
        async with site.state() as conn:
            lost = await gaps.listed(conn)
        sources = [{**site.known(each["name"]), **each} for each in await replication.sources()]
        return render(request, "replication.html", sources=sources, gaps=lost)

    async def checks(request: Request) -> Response:
        return await _checks(request, replication)

    return [Route("/replication", page), Route("/replication/checks", checks)]


async def _checks(request: Request, replication: Replication) -> Response:
    source = request.query_params.get("source")
    found = await replication.checks(source)
    if found is None:
        return render(request, "refused.html", status_code=404, problem="There is no such source.", back="/replication")
    counts = {state: sum(each["state"] == state for each in found) for state in ("failed", "warning", "ok")}
    worst_first = sorted(found, key=lambda each: ("failed", "warning", "ok").index(each["state"]))
    return render(request, "checks.html", source=source, checks=worst_first, counts=counts)
