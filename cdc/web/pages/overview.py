"""The first page: whether the service is well, and what it did lately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store import gaps, gauges, plots, summaries, tallies
from cdc.store.connect import Connection
from cdc.store.plots import Plot
from cdc.store.tallied import ALL, bins_of
from cdc.web.pages import charts
from cdc.web.pages.axes import BYTES, COUNT, MONEY, NUMBER, SECONDS
from cdc.web.pages.charts import Chart, Series, named
from cdc.web.pages.health import Figures, health
from cdc.web.pages.rendering import render
from cdc.web.pages.windows import Chosen, chosen, days
from cdc.web.site import Site

_FAILURES = 8
_DAYS = 14

_LATELY = 5
"""Minutes over which the present rate of events is told."""

_MEASURED = ("lag_seconds", "retained_bytes", "queue_age", "runs")

STATES = ("running", "queued", "sleeping", "waiting", "held")
"""Of unfinished runs, in the order of bars."""


class Lately(NamedTuple):
    """Events per second in the last minutes; runs of the last hour that failed, and that ended."""

    events: float
    failed: int
    ended: int


def routes(site: Site) -> list[Route]:
    """The overview."""

    async def overview(request: Request) -> Response:
        chosen_ = chosen(request)
        async with site.state() as conn:
            shown = await _shown(site, conn, chosen_)
        return render(request, "overview.html", **shown)

    return [Route("/overview", overview)]


async def _shown(site: Site, conn: Connection, over: Chosen) -> dict[str, Any]:
    lately = await _lately(conn)
    figures = Figures(await gauges.latest(conn), await gaps.listed(conn), *lately)
    series = await summaries.measured(conn, over.window, _MEASURED)
    return {
        "health": health(site.statuses, figures),
        "lately": lately,
        "totals": await tallies.totals(conn, over.window),
        "now": {what: figures.of(what) for what in gauges.KINDS},
        "sources": _sources(site, figures),
        "chosen": over,
        "plots": {
            "lag": _lines("Replication lag", series["lag_seconds"], SECONDS),
            "wal": _lines("WAL kept for the slot", series["retained_bytes"], BYTES),
            "queue": _lines("Age of the queue", series["queue_age"], SECONDS, {"": "oldest due run"}),
            "unfinished": _unfinished(series["runs"]),
            "events": _events(await tallies.events(conn, over.window)),
            "runs": runs(await tallies.runs(conn, over.window), over.each),
            "cost": costs(await tallies.costs(conn, days(_DAYS)), "Cost of AI per day"),
        },
        "failures": await summaries.failures(conn, _FAILURES),
    }


async def _lately(conn: Connection) -> Lately:
    hour = plots.window("1h")
    bins = await bins_of(conn, hour, ["event", "completed", "failed"], [ALL])
    first = hour.bins[-1] - _LATELY
    events = sum(count for number, count in bins.get(("event", ALL), {}).items() if number >= first)
    failed, completed = (sum(bins.get((what, ALL), {}).values()) for what in ("failed", "completed"))
    return Lately(events / (hour.until - first * hour.step), failed, failed + completed)


def _sources(site: Site, figures: Figures) -> list[dict[str, Any]]:
    """How the slot of each source is, in one word each."""
    statuses = site.statuses
    every = [*([statuses.home] if statuses.home else []), *statuses.others.values()]
    lost = figures.of("slot_lost")
    return [
        {
            "source": each.source,
            "slot": each.slot,
            "state": "bad" if lost.get(each.source) or each.problem else "good" if each.listening else "paused",
            "word": "lost"
            if lost.get(each.source)
            else "not watched"
            if each.problem
            else "listening"
            if each.listening
            else "standing by",
            "lag": figures.of("lag_bytes").get(each.source),
            "behind": figures.of("lag_seconds").get(each.source),
            "kept": figures.of("retained_bytes").get(each.source),
        }
        for each in every
    ]


# --- plots that other pages have, too ----------------------------------------------------------------------------


def runs(plot: Plot, each: str) -> Chart:
    """How runs ended in each step, and a line of those that started."""
    found = {line.name: line.values for line in plot.lines}
    ended = [Series(name, found[name], name) for name in ("completed", "failed")]
    ended += [Series("cancelled", found["cancelled"], "cancelled")] if any(found["cancelled"]) else []
    started = [Series("started", found["started"], "started")]
    return charts.bars(f"Runs each {each}", plot.times, plot.step, ended, COUNT, over=started)


def costs(plot: Plot, title: str) -> Chart:
    """What calls of models cost, by model."""
    parts = [(line.name, line.values) for line in plot.lines if line.name != "all"]
    return charts.bars(title, plot.times, plot.step, named(parts), MONEY)


def _lines(title: str, plot: Plot, unit: Any, names: Mapping[str, str] | None = None) -> Chart:
    lines = [((names or {}).get(line.name, line.name), line.values) for line in plot.lines]
    return charts.lines(title, plot.times, plot.step, named(lines), unit, figure=charts.most)


def _unfinished(plot: Plot) -> Chart:
    found = {line.name: line.values for line in plot.lines}
    series = [Series(name, found[name], name) for name in STATES if name in found]
    return charts.bars("Unfinished runs", plot.times, plot.step, series, COUNT, figure=charts.most)


def _events(plot: Plot) -> Chart:
    parts = [(line.name, line.values) for line in plot.lines if line.name != "all"]
    every = next(line.values for line in plot.lines if line.name == "all")
    series = named(parts or [("all", every)])
    return charts.bars("Events per second", plot.times, plot.step, series, NUMBER, figure=charts.mean)
