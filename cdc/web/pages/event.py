"""`/events/{id}`: one event, what it says of a row, and the runs that it started."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.authoring.triggers import INVOKED
from cdc.events.resending import NotResent, again
from cdc.store import looking
from cdc.store.starts import uuid
from cdc.web.answers import uuid_of
from cdc.web.guard.forms import checked_form
from cdc.web.pages import rowchange
from cdc.web.pages.rendering import missing, render
from cdc.web.site import Site

MOST_COLUMNS = 200
_MOST_RUNS = 200

_NOTICES = {
    "sent": "The event was sent.",
    "resent": "This event is new: it has the name and data of the one that was sent again.",
}
_PROBLEMS = {"invocation": "The event of an invocation starts only the run that it was made for: replay that run."}


def routes(site: Site) -> list[Route]:
    """The page, and its button."""

    async def shown(request: Request) -> Response:
        event_id = uuid_of(request.path_params["id"], "event")
        async with site.state() as conn:
            event = await looking.event(conn, event_id)
            if event is None:
                return missing(request, "event", "/events")
            runs = await looking.runs_of(conn, event)
        done = request.query_params.get("done", "")
        return render(
            request,
            "event.html",
            topic="runs",
            event=event,
            change=rowchange.read(event["name"], event["data"]),
            most_columns=MOST_COLUMNS,
            runs=runs[:_MOST_RUNS],
            more_runs=len(runs) - _MOST_RUNS,
            resendable=event["name"] != INVOKED,
            notice=_NOTICES.get(done),
            problem=_PROBLEMS.get(done),
        )

    async def resend(request: Request) -> Response:
        event_id = uuid_of(request.path_params["id"], "event")
        await checked_form(request)
        try:
            async with site.state() as conn:
                event = await again(conn, event_id)
        except NotResent:
            return RedirectResponse(f"/events/{event_id}?done=invocation", 303)
        if event is None:
            return missing(request, "event", "/events")
        async with site.hands() as hands:
            await hands.take([event])
        return RedirectResponse(f"/events/{uuid(event.id)}?done=resent", 303)

    return [Route("/events/{id}", shown), Route("/events/{id}/resend", resend, methods=["POST"])]
