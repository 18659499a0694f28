"""`/runs/{id}`: one run over time, with all that its steps took and gave, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.events import deferring
from cdc.store import deferred, looking
from cdc.store.choice import ENDED
from cdc.store.deferred import DEFER, KINDS
from cdc.web.answers import uuid_of
from cdc.web.guard.forms import checked_form
from cdc.web.pages import timeline
from cdc.web.pages.rendering import missing, render
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
            deferred=_deferred(run) if run["status"] in ENDED else {},
            deferred_by=next((deferring.parent_of(each["name"], each["data"]) for each in events if each), None),
            spent=_spent(call for step in run["steps"] for call in step.get("calls", ())),
            notice=_NOTICES.get(done),
            problem=_PROBLEMS.get(done),
        )

    async def cancel(request: Request) -> Response:
        run_id = uuid_of(request.path_params["id"])
        await checked_form(request)
        async with site.hands() as hands:
            cancelled = await hands.cancel([run_id], "cancelled on the dashboard")
        return RedirectResponse(f"/runs/{run_id}?done={'cancelled' if cancelled else 'ended'}", 303)

    async def replay(request: Request) -> Response:
        run_id = uuid_of(request.path_params["id"])
        await checked_form(request)
        async with site.hands() as hands:
            repeated = await hands.replay([run_id])
        if new := repeated.runs.get(run_id):
            return RedirectResponse(f"/runs/{new}?done=replayed", 303)
        return RedirectResponse(f"/runs/{run_id}?done=unrepeatable", 303)

    return [
        Route("/runs/{id}", shown),
        Route("/runs/{id}/cancel", cancel, methods=["POST"]),
        Route("/runs/{id}/replay", replay, methods=["POST"]),
    ]


def _deferred(run: Mapping[str, Any]) -> dict[str, str]:
    """The events that started what the run had deferred, and not taken back, by the keys of these."""
    keys = {step["id"] for step in run["steps"] if step["kind"] in KINDS}
    kept = [key for key in keys if key.startswith(DEFER) and deferred.taken_back_by(key) not in keys]
    return {key: str(deferring.event_of(run["id"], key)) for key in kept}


def _spent(calls: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """What calls of models took together; the cost is that of those whose price is known."""
    made = [*calls]
    tokens = sum((call["input_tokens"] or 0) + (call["output_tokens"] or 0) for call in made)
    priced = [Decimal(call["cost"]) for call in made if call["cost"] != "unknown"]
    return {"calls": len(made), "tokens": tokens, "cost": float(sum(priced)) if priced else None} if made else None
