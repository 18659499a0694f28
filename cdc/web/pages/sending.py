"""`/events/send`: an event by hand, through the door that applications' events take."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.store import looking
from cdc.store.failures import StatementFailed, about_a_value
from cdc.store.json import document
from cdc.store.starts import uuid
from cdc.web import incoming
from cdc.web.answers import uuid_of
from cdc.web.guard.forms import checked_form
from cdc.web.pages.rendering import render
from cdc.web.pages.wording import whole
from cdc.web.site import Site

_EXAMPLE = '{\n  "hello": "world"\n}'


@dataclass(frozen=True, slots=True)
class _Typed:
    """What is in the form, and what is wrong with it, by field."""

    name: str = ""
    data: str = _EXAMPLE
    wrong: dict[str, str] = field(default_factory=dict)


def routes(site: Site) -> list[Route]:
    """The form, and where it goes."""

    async def form(request: Request) -> Response:
        return await shown(request, await _begun(site, request.query_params.get("like", "")))

    async def send(request: Request) -> Response:
        given = await checked_form(request)
        typed, events = _read(given)
        if typed.wrong:
            return await shown(request, typed, status_code=400)
        try:
            async with site.hands() as hands:
                await hands.take(events)
        except StatementFailed as failed:
            if not about_a_value(failed):
                raise
            wrong = {"data": "It has a value that the database cannot store."}
            return await shown(request, _Typed(typed.name, typed.data, wrong), status_code=400)
        return RedirectResponse(f"/events/{uuid(events[0].id)}?done=sent", 303)

    async def shown(request: Request, typed: _Typed, status_code: int = 200) -> Response:
        async with site.state() as conn:
            names = names_of(await looking.functions(conn))
        return render(request, "send.html", status_code=status_code, typed=typed, names=names)

    return [Route("/events/send", form), Route("/events/send", send, methods=["POST"])]


def names_of(functions: list[dict[str, Any]], *, rows: bool = False) -> list[str]:
    """The names of events that functions start on, with `rows` those of tables, too."""
    triggers = (trigger for each in functions for trigger in each.get("triggers", ()))
    named = {str(trigger["event"]) for trigger in triggers if trigger.get("event")}
    return sorted(name for name in named if rows or not (name.startswith("db/") or "*" in name))


async def _begun(site: Site, like: str) -> _Typed:
    """The form, with the name and data of another event, if that is asked for and not too large."""
    try:
        async with site.state() as conn:
            event = await looking.event(conn, uuid_of(like, "event")) if like else None
    except HTTPException:
        event = None
    if event is None:
        return _Typed()
    return _Typed(event["name"], whole(event["data"]) or _EXAMPLE)


def _read(given: FormData) -> tuple[_Typed, list[Any]]:
    name, text = (str(given.get(each, "")) for each in ("name", "data"))
    name = name.strip()
    data, problem = _parsed(text)
    if problem:
        return _Typed(name, text, {"data": problem}), []
    found = incoming.read(document({"name": name, "data": data}).encode(), None)
    if found.error is None:
        return _Typed(name, text), found.events
    about = "name" if found.error.startswith("event name") else "data"
    return _Typed(name, text, {about: f"{found.error[:1].upper()}{found.error[1:]}."}), []


def _parsed(text: str) -> tuple[Any, str | None]:
    """The JSON object, or what is wrong with it."""
    try:
        data = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        return None, f"This is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
    except (ValueError, RecursionError):
        return None, "This is not JSON that can be read."
    if not isinstance(data, dict):
        return None, 'The data is an object, such as {"id": 7}.'
    return data, None
