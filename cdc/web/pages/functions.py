"""The pages of functions: all of them with what they did lately, and one with its options, plots and runs."""

from __future__ import annotations

import json
from typing import Any, NoReturn
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cdc.store import summaries, tallies
from cdc.store.connect import Connection
from cdc.store.json import document
from cdc.store.plots import Plot
from cdc.store.tallies import FunctionFigures
from cdc.web.guard.forms import checked_form
from cdc.web.pages import charts, options
from cdc.web.pages.axes import SECONDS
from cdc.web.pages.charts import Chart, named
from cdc.web.pages.overview import runs
from cdc.web.pages.rendering import missing, render
from cdc.web.pages.windows import Chosen, chosen
from cdc.web.pages.wording import pretty
from cdc.web.site import Site

_RUNS = 10
_FAILURES = 5

_NOTICES = {
    "pause": "The function is paused: what it has begun goes on, new runs wait.",
    "resume": "The function goes on, with the runs that waited first.",
    "invoke": "A run was started; it is the first of the latest runs in a moment.",
}


def routes(site: Site) -> list[Route]:
    """Looking, pausing and invoking. An id may have slashes in it."""

    async def all_of_them(request: Request) -> Response:
        over = chosen(request)
        async with site.state() as conn:
            listed = await _listed(conn, over)
        return render(request, "functions.html", chosen=over, functions=listed)

    async def one(request: Request) -> Response:
        notice = _NOTICES.get(request.query_params.get("done", ""))
        return await page(request, notice=notice, invalid=None)

    async def page(request: Request, status_code: int = 200, **besides: Any) -> Response:
        async with site.state() as conn:
            shown = await _shown(conn, _id(request), chosen(request))
        if shown is None:
            return _missing(request)
        return render(request, "function.html", status_code=status_code, **{**shown, **besides})

    async def pause(request: Request) -> Response:
        await checked_form(request)
        async with site.hands() as hands:
            return _done(request, "pause", await hands.pause(_id(request)))

    async def resume(request: Request) -> Response:
        await checked_form(request)
        async with site.hands() as hands:
            return _done(request, "resume", await hands.resume(_id(request)))

    async def invoke(request: Request) -> Response:
        typed = str((await checked_form(request)).get("data", ""))
        data, invalid = _object(typed)
        if data is None:
            return await page(request, 400, payload=typed, invalid=invalid)
        async with site.hands() as hands:
            return _done(request, "invoke", await hands.invoke(_id(request), document(data).encode()))

    return [
        Route("/functions", all_of_them),
        Route("/functions/{id:path}/pause", pause, methods=["POST"]),
        Route("/functions/{id:path}/resume", resume, methods=["POST"]),
        Route("/functions/{id:path}/invoke", invoke, methods=["POST"]),
        Route("/functions/{id:path}", one),
    ]


async def _listed(conn: Connection, over: Chosen) -> list[dict[str, Any]]:
    """Each function with its figures; those that did nothing, too."""
    figures = {each.function: each for each in await tallies.functions(conn, over.window)}
    rows = await summaries.functions(conn)
    started = await summaries.throughput(conn, over.window, [row["id"] for row in rows])
    return [
        {
            **row,
            "triggers": [options.trigger(each) for each in row["definition"]["triggers"]],
            "figures": figures.get(row["id"]) or _none(row["id"]),
            "spark": charts.spark(started[row["id"]]),
        }
        for row in rows
    ]


async def _shown(conn: Connection, id: str, over: Chosen) -> dict[str, Any] | None:
    row = await summaries.function(conn, id)
    if row is None:
        return None
    over_time = await tallies.function(conn, over.window, id)
    figures = [each for each in await tallies.functions(conn, over.window) if each.function == id]
    latest = await summaries.recent(conn, id, _RUNS)
    return {
        **row,
        "address": f"/functions/{quote(id)}",
        "chosen": over,
        "figures": figures[0] if figures else _none(id),
        "triggers": [options.trigger(each) for each in row["definition"]["triggers"]],
        "options": options.options(row["definition"]),
        "plots": {
            "runs": runs(over_time.runs, over.each),
            "took": _quantiles("Duration", over_time.took),
            "waited": _quantiles("Waited for a worker", over_time.waited),
        },
        "latest": latest,
        "failures": await summaries.failures(conn, _FAILURES, function=id),
        "payload": await _example(conn, latest),
    }


async def _example(conn: Connection, latest: list[dict[str, Any]]) -> str:
    """The data of the event that the latest run was given: what a payload looks like."""
    return pretty((await summaries.sample(conn, latest[0]["id"]) if latest else None) or {})


def _quantiles(title: str, plot: Plot) -> Chart:
    """Half and most of all: p50 and p95."""
    return charts.lines(title, plot.times, plot.step, named((line.name, line.values) for line in plot.lines), SECONDS)


def _none(id: str) -> FunctionFigures:
    return FunctionFigures(id, 0, 0, 0, 0, 0, 0.0, None, None, None, None, None)


def _object(typed: str) -> tuple[dict[str, Any] | None, str]:
    """The JSON object that was typed; or what is wrong with it."""
    try:
        found = json.loads(typed, parse_constant=_no_number) if typed.strip() else {}
    except (ValueError, RecursionError) as error:
        return None, f"This is no JSON: {error}."
    return (found, "") if isinstance(found, dict) else (None, "This is JSON, but no object: write it in braces, {…}.")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _id(request: Request) -> str:
    return str(request.path_params["id"])


def _missing(request: Request) -> Response:
    return missing(request, "function", "/functions")


def _done(request: Request, what: str, done: object) -> Response:
    if done is None:
        return _missing(request)
    return RedirectResponse(f"/functions/{quote(_id(request))}?done={what}", status_code=303)
