"""The pages of models: what calls came to, the latest of them, and what was said in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store import summaries, tallies
from cdc.store.connect import Connection
from cdc.store.json import loads
from cdc.store.plots import Plot
from cdc.web.pages import charts
from cdc.web.pages.axes import COUNT
from cdc.web.pages.charts import Chart, Series
from cdc.web.pages.overview import costs
from cdc.web.pages.rendering import missing, render
from cdc.web.pages.windows import Chosen, chosen
from cdc.web.pages.wording import LONGEST
from cdc.web.site import Site

_CALLS = 30


class Message(NamedTuple):
    """What somebody said in a prompt."""

    role: str
    content: str


def routes(site: Site) -> list[Route]:
    """Calls of models, and one of them."""

    async def calls(request: Request) -> Response:
        over, before = chosen(request), _number(request.query_params.get("before", ""))
        async with site.state() as conn:
            shown = await _shown(conn, over)
            latest = await summaries.calls(conn, _CALLS + 1, before=before)
        more = f"?window={over.name}&before={latest[_CALLS - 1]['id']}#calls" if len(latest) > _CALLS else None
        return render(request, "ai.html", **shown, latest=latest[:_CALLS], more=more, older=before is not None)

    async def call(request: Request) -> Response:
        number = _number(request.path_params["id"])
        async with site.state() as conn:
            found = await summaries.call(conn, number, LONGEST) if number is not None else None
        if found is None:
            return missing(request, "call", "/ai")
        prompt, output = (_read(found[name]) for name in ("prompt", "output"))
        return render(request, "ai_call.html", call=found, prompt=prompt, messages=messages(prompt), output=output)

    return [Route("/ai", calls), Route("/ai/calls/{id}", call)]


async def _shown(conn: Connection, over: Chosen) -> dict[str, Any]:
    models = await tallies.models(conn, over.window)
    askers = await tallies.askers(conn, over.window)
    return {
        "chosen": over,
        "models": list(zip(models, charts.parts([each.cost for each in models]), strict=True)),
        "askers": list(zip(askers, charts.parts([each.cost for each in askers]), strict=True)),
        "totals": {
            "calls": sum(each.calls for each in models),
            "failed": sum(each.failed for each in models),
            "input": sum(each.input_tokens for each in models),
            "output": sum(each.output_tokens for each in models),
            "cost": sum(each.cost for each in models),
            "unpriced": sum(each.unpriced for each in models),
        },
        "plots": {
            "cost": costs(await tallies.costs(conn, over.window), f"Cost each {over.each}"),
            "calls": _calls(await summaries.calls_over_time(conn, over.window), over.each),
        },
    }


def messages(prompt: Any) -> list[Message]:
    """The messages of a request that has some, with its instructions first; none of what we cannot read."""
    body = prompt.get("body") if isinstance(prompt, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(body.get("messages"), list):
        return []
    system = [Message("system", body["system"])] if isinstance(body.get("system"), str) else []
    said = [each for each in body["messages"] if isinstance(each, Mapping) and isinstance(each.get("content"), str)]
    if len(said) != len(body["messages"]):
        return []
    return [*system, *(Message(str(each.get("role", "")), each["content"]) for each in said)]


def _calls(plot: Plot, each: str) -> Chart:
    series = [Series(line.name, line.values, line.name) for line in plot.lines]
    return charts.bars(f"Calls each {each}", plot.times, plot.step, series, COUNT)


def _read(stored: str | None) -> Any:
    """Stored JSON; of what was cut, the text."""
    if stored is None:
        return None
    try:
        return loads(stored)
    except (ValueError, RecursionError):
        return f"{stored}\n… cut here: the run's own page, or the API, has all of it"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
