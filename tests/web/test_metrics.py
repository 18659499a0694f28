"""`GET /metrics` says what was counted and measured, in a form that Prometheus reads, with and without the database."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as strict
from prometheus_client.samples import Sample

from cdc.store import gauges
from cdc.store.connect import Connection, connect
from cdc.store.gauges import Value
from cdc.tallies import BOUNDS, DOLLAR, Tallies
from cdc.web.app import app
from cdc.web.families import FAMILIES
from cdc.web.site import Site
from cdc.web.status import Status, Statuses


@pytest.fixture
def site(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Of a service that listens to one source of two, and has counted something."""
    monkeypatch.setattr("cdc.web.metrics._WITHIN", 60.0)  # a busy machine may take seconds to connect
    home = Status("default", "cdc", "cdc", listening=True)
    home.look(1000, 400, 0.0)
    book = Tallies()
    book.add("event", 'sent/"quoted"\n', 3)
    for seconds in (0.003, 0.3, 0.3, 90000.0):
        book.time("completed", "greet", seconds)
    book.time("failed", "greet", 2.0)
    book.add("cost", "openai/small", 3 * DOLLAR // 2)

    @asynccontextmanager
    async def connection() -> AsyncIterator[Connection]:
        async with await connect(migrated_url, autocommit=True) as conn:
            yield conn

    return Site(Statuses(home, {"other": Status("other", "cdc", "cdc")}), connection, totals=lambda: book)


async def scrape(site: Site, *before: str, **headers: str) -> httpx.Response:
    """An answer, after requests for these paths."""
    transport = httpx.ASGITransport(app(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        for path in before:
            await client.get(path)
        return await client.get("/metrics")


def told(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Samples by name and the values of their labels, in the order of the labels' names."""
    samples: list[Sample] = [
        sample for family in parser.text_string_to_metric_families(text) for sample in family.samples
    ]
    found = {(sample.name, tuple(sample.labels.values())): sample.value for sample in samples}
    assert len(found) == len(samples), "no sample twice"
    return found


async def test_what_was_counted_and_measured_is_told(site: Site) -> None:
    async with site.state() as conn:
        measured = [("queue_age", "", 12.5), ("runs", "queued", 3.0), ("lag_bytes", "other", 7.0)]
        await gauges.keep(conn, [Value(*each) for each in (*measured, ("backlog", "default/notes_embeddings", 8.0))])
    answer = await scrape(site)
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = told(answer.text)
    assert found["cdc_events_accepted_total", ('sent/"quoted"\n',)] == 3
    assert found["cdc_runs_total", ("greet", "completed")] == 4
    assert found["cdc_runs_total", ("greet", "failed")] == 1
    assert found["cdc_ai_cost_dollars_total", ("openai/small",)] == 1.5
    assert found["cdc_queue_age_seconds", ()] == 12.5
    assert [found["cdc_runs_unfinished", (status,)] for status in ("queued", "running")] == [3, 0]
    assert found["cdc_embeddings_backlog", ("default/notes_embeddings",)] == 8
    assert found["cdc_replication_lag_bytes", ("default",)] == 600, "what it knows itself"
    assert found["cdc_replication_lag_bytes", ("other",)] == 7, "what another measured"
    assert [found["cdc_listening", (source,)] for source in ("default", "other")] == [1, 0]
    assert found["cdc_state_up", ()] == found["cdc_ready", ()] + 1
    assert found["process_resident_memory_bytes", ()] > 0


async def test_a_histogram_rises_to_its_count(site: Site) -> None:
    found = told((await scrape(site)).text)
    bounds = [*map(str, BOUNDS), "+Inf"]
    buckets = [found["cdc_run_duration_seconds_bucket", ("greet", bound)] for bound in bounds]
    assert buckets == sorted(buckets)
    assert (buckets[0], buckets[bounds.index("0.5")], buckets[-2], buckets[-1]) == (1, 3, 4, 5)
    assert found["cdc_run_duration_seconds_count", ("greet",)] == 5
    assert math.isclose(found["cdc_run_duration_seconds_sum", ("greet",)], 90002.603)


async def test_requests_are_counted_by_template_and_never_by_path(site: Site) -> None:
    found = told((await scrape(site, "/livez", "/livez", "/nowhere", f"/v1/runs/{uuid4()}")).text)
    counted = {labels: value for (name, labels), value in found.items() if name == "cdc_http_requests_total"}
    assert counted["200", "/livez"] == 2
    assert counted["404", "unmatched"] == 1
    assert [value for (_, route), value in counted.items() if route == "/v1/runs/{id}"] == [1]
    assert len(counted) == 3


async def test_without_the_database_the_rest_is_told(site: Site) -> None:
    @asynccontextmanager
    async def connection() -> AsyncIterator[Connection]:
        async with await connect("postgresql://nobody@127.0.0.1:1/none") as conn:
            yield conn

    dark = Site(site.statuses, connection, totals=site.totals)
    found = told((await scrape(dark)).text)
    assert found["cdc_state_up", ()] == 0
    assert ("cdc_queue_age_seconds", ()) not in found
    assert found["cdc_runs_total", ("greet", "completed")] == 4
    only_status = Site(site.statuses, totals=site.totals)
    assert told((await scrape(only_status)).text)["cdc_state_up", ()] == 0


async def test_every_family_is_described_once_and_as_open_metrics_too(site: Site) -> None:
    text = (await scrape(site, accept="application/openmetrics-text; version=1.0.0")).text
    families = {family.name: family for family in strict.text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
    for name, family in FAMILIES.items():
        assert (families[name].type, families[name].documentation) == (family.kind, family.help)
