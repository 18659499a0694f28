"""`GET /metrics`, for Prometheus: what this service counted since its start, how it is, and what was measured last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cdc.errors import CdcError
from cdc.store import gauges
from cdc.store.failures import ConnectionTrouble, PoolTimeout, StatementFailed
from cdc.store.gauges import Measured
from cdc.tallies import BOUNDS, Tallies, Tally
from cdc.web.families import FAMILIES, Family
from cdc.web.site import Site

_FRESH = 1.0
"""Seconds for which what the database said is told again."""

_WITHIN = 2.0
"""Seconds for the database to answer; without it the rest is told."""

_STATUSES = ("queued", "running", "sleeping", "waiting", "held")

Samples = dict[tuple[str, ...], float]
"""Values by those of the labels."""


def routes(site: Site) -> list[BaseRoute]:
    """The route, under our name and under that of Inngest's API: there is one environment."""
    scraping = Scraping(site)

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry(await scraping.figures())), headers={"content-type": content_type})

    async def of_environment(request: Request) -> Response:  # an endpoint of its own: requests are counted by it
        return await metrics(request)

    return [
        Route("/metrics", metrics, include_in_schema=False),
        Route("/v1/prom/{env}", of_environment, include_in_schema=False),
    ]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one scrape tells. `measured` is None when the state database did not answer."""

    site: Site
    totals: Tallies
    measured: Sequence[Measured] | None


class Scraping:
    """Asks the database at most once a second, however many ask."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = asyncio.Lock()
        self._measured: Sequence[Measured] | None = None
        self._asked_at = -_FRESH

    async def figures(self) -> Figures:
        """As they are now."""
        async with self._turn:
            if time.monotonic() - self._asked_at >= _FRESH:
                self._measured = await self._ask()
                self._asked_at = time.monotonic()
        return Figures(self._site, self._site.totals(), self._measured)

    async def _ask(self) -> Sequence[Measured] | None:
        if self._site.connection is None:
            return None
        with suppress(*ConnectionTrouble, PoolTimeout, StatementFailed, CdcError, TimeoutError):
            async with asyncio.timeout(_WITHIN), self._site.state() as conn:
                return await gauges.latest(conn)
        return None


def registry(figures: Figures) -> CollectorRegistry:
    """A registry of our own: libraries may have put theirs into the default one."""
    made = CollectorRegistry()
    made.register(_Collected(figures))
    ProcessCollector(registry=made)
    return made


class _Collected(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """All families, each with what is known of it."""
        known = _known(self._figures)
        for name, family in FAMILIES.items():
            if family.kind == "histogram":
                yield _histogram(name, family, self._figures.totals)
            elif family.kind == "counter":
                samples = known.get(name) or _counted(family, self._figures.totals)
                yield _filled(CounterMetricFamily(name, family.help, labels=family.labels), samples)
            else:
                samples = {**_measured(family, self._figures.measured or ()), **known.get(name, {})}
                yield _filled(GaugeMetricFamily(name, family.help, labels=family.labels), samples)


def _known(figures: Figures) -> Mapping[str, Samples]:
    """What no database is needed for. Of a source that this service listens to it knows more than was measured."""
    statuses, now = figures.site.statuses, time.monotonic()
    listening = [status for status in statuses.every if status.listening]
    return {
        "cdc_http_requests": {(route, str(code)): count for (route, code), count in figures.site.requests.items()},
        "cdc_build_info": {(version("cdc"),): 1},
        "cdc_ready": {(): statuses.ready},
        "cdc_state_up": {(): figures.measured is not None},
        "cdc_workers_up": {(): statuses.working},
        "cdc_listening": {(status.source,): status.listening for status in statuses.every},
        "cdc_replication_lag_bytes": {(status.source,): status.lag_bytes for status in listening},
        "cdc_replication_lag_seconds": {(status.source,): status.lag_seconds(now) for status in listening},
    }


def _counted(family: Family, totals: Tallies) -> Samples:
    return {
        (name, *others): tally.count * family.unit
        for what, others in family.sources
        for name, tally in totals.of(what).items()
    }


def _measured(family: Family, measured: Iterable[Measured]) -> Samples:
    kinds = {what for what, _ in family.sources}
    samples: Samples = {}
    for each in measured:
        if each.what in kinds:
            samples[(each.name,) if family.labels else ()] = each.value
    if kinds == {"runs"} and measured:
        return {**{(status,): 0.0 for status in _STATUSES}, **samples}
    return samples


def _histogram(name: str, family: Family, totals: Tallies) -> Metric:
    sums: dict[str, Tally] = {}
    for what, _ in family.sources:
        for label, tally in totals.of(what).items():
            sums.setdefault(label, Tally()).add(tally.count, tally.seconds, tally.buckets)
    metric = HistogramMetricFamily(name, family.help, labels=family.labels)
    for label, tally in sums.items():
        below, buckets = 0, []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), tally.buckets, strict=True):
            below += count
            buckets.append((bound, float(below)))
        metric.add_metric([label], buckets, tally.seconds)
    return metric


def _filled(metric: CounterMetricFamily | GaugeMetricFamily, samples: Samples) -> Metric:
    for labels, value in samples.items():
        metric.add_metric(labels, float(value))
    return metric
