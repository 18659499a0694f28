"""`/runs/{id}/again`: a run once more from one of its steps on, with another input there, or with other data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.events.repeating import Edits
from cdc.store import looking
from cdc.store.choice import ENDED
from cdc.web.answers import uuid_of
from cdc.web.guard.forms import checked_form
from cdc.web.pages import asked
from cdc.web.pages.rendering import missing, render
from cdc.web.pages.wording import whole
from cdc.web.site import Site

_WITHOUT_INPUT = ("sleep", "wait")


@dataclass(frozen=True, slots=True)
class _Form:
    """A run, the step that it begins at ('': at the beginning), and what can be edited: `input` of the step, or `data`
    of its event; None: not that. `wrong` is what is wrong with what was typed.
    """

    run: Mapping[str, Any]
    step: str
    input: str | None = None
    data: str | None = None
    wrong: str = ""
    kept: list[str] = field(default_factory=list)


def routes(site: Site) -> list[Route]:
    """The form, and where it goes."""

    async def form(request: Request) -> Response:
        begun = await _begun(site, request, asked.text(request.query_params, "step"))
        return missing(request, "run or step", "/runs") if begun is None else shown(request, begun)

    async def replay(request: Request) -> Response:
        given = await checked_form(request)
        begun = await _begun(site, request, str(given.get("step", "")))
        if begun is None:
            return missing(request, "run or step", "/runs")
        typed = _typed(begun, {name: str(value).replace("\r\n", "\n") for name, value in given.items()})
        try:
            edits = _edits(begun, typed)
        except ValueError as unusable:
            return shown(request, typed, wrong=str(unusable), status_code=400)
        run_id = begun.run["id"]
        async with site.hands() as hands:
            repeated = await hands.replay_from(run_id, edits)
        if (new := repeated.runs.get(run_id)) is None:
            said = f"The run cannot be replayed: {repeated.skipped[run_id]}."
            return shown(request, typed, problem=said, status_code=409)
        return RedirectResponse(f"/runs/{new}?done=replayed", 303)

    def shown(request: Request, form: _Form, status_code: int = 200, wrong: str = "", problem: str = "") -> Response:
        return render(request, "again.html", status_code=status_code, form=form, wrong=wrong, problem=problem)

    return [Route("/runs/{id}/again", form), Route("/runs/{id}/again", replay, methods=["POST"])]


async def _begun(site: Site, request: Request, step_id: str) -> _Form | None:
    """The form as it is at first; None: there is no such run that has ended, or no such step."""
    async with site.state() as conn:
        run = await looking.run(conn, uuid_of(request.path_params["id"]))
        if run is None or run["status"] not in ENDED:
            return None
        if not step_id:
            event = await looking.event(conn, run["event_ids"][0]) if len(run["event_ids"]) == 1 else None
            return _Form(run, "", data=whole(event["data"]) if event else None)
    step = next((each for each in run["steps"] if each["id"] == step_id), None)
    if step is None:
        return None
    before = [each["id"] for each in run["steps"] if each["ended_at"] and each["ended_at"] <= step["started_at"]]
    has_input = step["input"] is not None and step["kind"] not in _WITHOUT_INPUT
    return _Form(run, step_id, input=whole(step["input"]) if has_input else None, kept=before)


def _typed(begun: _Form, given: Mapping[str, str]) -> _Form:
    """The form as it was sent."""
    input_ = None if begun.input is None else given.get("input", begun.input)
    data = None if begun.data is None else given.get("data", begun.data)
    return _Form(begun.run, begun.step, input_, data, kept=begun.kept)


def _edits(begun: _Form, typed: _Form) -> Edits:
    """What was changed.

    Raises:
        ValueError: it cannot be used; says why.
    """
    input_ = None if typed.input == begun.input else _parsed(typed.input or "")
    data = None if typed.data == begun.data else _parsed(typed.data or "")
    if data is not None and not isinstance(data, dict):
        raise ValueError("The data of an event is an object.")
    return Edits(begun.step or None, input_, data)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"This is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise ValueError("This is nested too deeply.") from None
