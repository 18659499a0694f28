"""`/runs/{id}`: one run over time, with all that its steps took and gave, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.events.hands import Hands
from cdc.store import looking
from cdc.store.choice import ENDED
from cdc.web.answers import uuid_of
from cdc.web.pages import timeline
from cdc.web.pages.rendering import render
from cdc.web.site import Site

MOST_STEPS = 300
"""Steps on one page; the API answers with all."""

_MOST_EVENTS = 5

_ALL = 600_000
"""Characters of what steps took and gave, together: a page that is to be read."""

_NOTICES = {
    "cancelled": "The run is cancelled.",
    "replayed": "This run is new: it was given the events of the one that it replays.",
}
_PROBLEMS = {
    "ended": "The run has ended already; nothing was changed.",
    "unrepeatable": "The run cannot be replayed: its function or its events are gone, or it has not ended.",
}


def routes(site: Site) -> list[Route]:
    """The page, and its buttons."""

    async def shown(request: Request) -> Response:
        run_id = uuid_of(request.path_params["id"])
        async with site.state() as conn:
            run = await looking.run(conn, run_id)
            if run is None:
                return missing(request, "run", "/runs")
            run = _timed(run)
            events = [await looking.event(conn, each) for each in run["event_ids"][:_MOST_EVENTS]]
        done = request.query_params.get("done", "")
        steps = run["steps"][:MOST_STEPS]
        return render(
            request,
            "run.html",
            topic=f"run:{run_id}",
            run=run,
            events=[event for event in events if event],
            timeline=timeline.of({**run, "steps": steps}, datetime.now(UTC)),
            left_out=len(run["steps"]) - len(steps),
            longest=max(1000, min(32_768, _ALL // (len(steps) + 1))),
            ended=run["status"] in ENDED,
            notice=_NOTICES.get(done),
            problem=_PROBLEMS.get(done),
        )

    async def cancel(request: Request) -> Response:
        run_id = uuid_of(request.path_params["id"])
        await request.form()
        async with site.state() as conn:
            cancelled = await Hands(conn).cancel([run_id], "cancelled on the dashboard")
        site.wake()
        return RedirectResponse(f"/runs/{run_id}?done={'cancelled' if cancelled else 'ended'}", 303)

    async def replay(request: Request) -> Response:
        run_id = uuid_of(request.path_params["id"])
        await request.form()
        async with site.state() as conn:
            repeated = await Hands(conn).replay([run_id])
        site.wake()
        if new := repeated.runs.get(run_id):
            return RedirectResponse(f"/runs/{new}?done=replayed", 303)
        return RedirectResponse(f"/runs/{run_id}?done=unrepeatable", 303)

    return [
        Route("/runs/{id}", shown),
        Route("/runs/{id}/cancel", cancel, methods=["POST"]),
        Route("/runs/{id}/replay", replay, methods=["POST"]),
    ]


def missing(request: Request, what: str, back: str) -> Response:
    """The page that says that there is no such thing."""
    return render(request, "missing.html", status_code=404, what=what, back=back)


def _timed(run: Mapping[str, Any]) -> dict[str, Any]:
    steps = [{**step, "attempts": _alone(step)} for step in run["steps"]]
    return {**run, "steps": steps, "attempts": [], "replayed_by": []}


def _alone(step: Mapping[str, Any]) -> list[dict[str, Any]]:
    if step["ended_at"] is None:
        return []
    return [{"attempt": step["attempts"], **{key: step[key] for key in ("started_at", "ended_at", "error")}}]
