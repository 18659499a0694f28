"""How long the API and the pages take with a million events and runs in the tables, and how much they read for it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from fastapi import FastAPI
from starlette.routing import Route

from cdc.store import functions, json, workers
from cdc.store.connect import pool
from cdc.web.app import app
from cdc.web.server import Web
from cdc.web.site import Connecting, Site
from cdc.web.status import Status, Statuses
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Database, Ground
from tests.store.state import definition

GOAL = 100.0
"""Milliseconds."""

_CALLS = 5

ELSEWHERE = {"/live", "/replication/checks", "/v1/replication/checks", "/v1/embeddings"}
"""What has no end, or asks watched databases, of which there is none here."""

ASKED = (
    "events?name=app/rare",
    "events?name=db/users.*",
    "events?text=nobody-has-it",
    "events?until=20d",
    "runs?function=rare",
    "runs?function=f0",
    "runs?status=failed",
    "runs?status=waiting",
    "runs?status=running",
    "runs?status=completed&function=rare",
    "runs?until=20d",
)
"""Lists with filters."""

_BLOCKS = "select blks_hit + blks_read from pg_stat_database where datname = current_database()"

_DAY = 86_400_000

_RUNS = "(lpad(to_hex({began} + n * {step}), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid"
_MOMENT = "to_timestamp(({began} + n / 100 * 100 * {step}) / 1000.0)"

_TALLIED = """
    insert into cdc_state.tallies (width, what, name, at, count, seconds, buckets)
    select {width}, what, name, date_trunc('{of}', now()) - n * interval '1 {of}',
           case name when '' then 600 else 100 end, 10, array_fill(6::bigint, array[17])
      from unnest(array['event', 'started', 'completed', 'failed', 'call', 'input_tokens', 'cost']) what,
           unnest(array['', 'f0', 'f1', 'f2', 'f3', 'f4', 'db/users.inserted']) name, generate_series(0, {steps}) n
"""

FILL = (
    *(f"alter table cdc_state.{table} set unlogged" for table in ("events", "runs", "steps")),
    *(f"alter table cdc_state.{table} set (autovacuum_enabled = off)" for table in ("events", "runs", "steps")),
    f"""insert into cdc_state.events (id, name, ts, data, accepted_at)
    select {_RUNS}, case when n % 100000 = 7 then 'app/rare' else 'db/users.inserted' end, {_MOMENT},
           json_build_object('new', json_build_object('id', n, 'name', md5(n::text), 'about', repeat('word ', 20))),
           {_MOMENT}
      from generate_series(1::bigint, {{count}}) n""",
    f"""insert into cdc_state.runs
           (id, function_id, event_ids, status, claims, created_at, started_at, ended_at, output, error)
    select {_RUNS}, case when n % 100000 = 7 then 'rare' else 'f' || n % 5 end, array[{_RUNS}],
           case when n % 10000 = 3 then 'failed' when n % 10000 = 4 then 'waiting' else 'completed' end, 1,
           {_MOMENT}, {_MOMENT}, case when n % 10000 <> 4 then {_MOMENT} end, '{{{{"sent": true}}}}',
           case when n % 10000 = 3 then '{{{{"name": "ValueError", "message": "no"}}}}'::json end
      from generate_series(1::bigint, {{count}}) n""",
    f"""insert into cdc_state.steps (run_id, id, kind, started_at, ended_at, data, attempts)
    select {_RUNS}, 'step', 'run', {_MOMENT}, {_MOMENT}, '{{{{"done": true}}}}', 1
      from generate_series(1::bigint, {{count}}) n""",
    f"""insert into cdc_state.ai_calls
           (ended_at, run_id, step_id, function_id, operation, provider, model, latency, cost)
    select {_MOMENT}, {_RUNS}, 'step', 'f0', 'chat', 'openai', 'gpt', 1, 0.001
      from generate_series(1::bigint, {{count}} / 10) n""",
    _TALLIED.format(width=60, of="minute", steps=1440),
    _TALLIED.format(width=3600, of="hour", steps=24 * 30),
    """insert into cdc_state.gauges (width, what, name, at, value)
    select width, what, '', date_bin(make_interval(secs => width), now(), 'epoch') - n * make_interval(secs => width), n
      from unnest(array[60, 3600]) width,
           unnest(array['lag_bytes', 'lag_seconds', 'retained_bytes', 'runs', 'queue_age']) what,
           generate_series(0, case width when 60 then 2 * 1440 else 31 * 24 end) n""",
    "analyze",
)


@dataclass(frozen=True, slots=True)
class _Ids:
    """Of rows somewhere in the middle."""

    event: str
    run: str
    call: int


async def measure(ground: Ground) -> list[Figure]:
    """Each address a few times, the slowest answer counting; a month of events, evenly."""
    json.register()
    count = ground.size(1_000_000, 10_000)
    figures = []
    async with ground.database() as db:
        ids = await _filled(db, count)
        async with _served(db) as (application, client, connecting):
            for address in _addresses(application, ids):
                milliseconds, pages = await _asked(client, connecting, address)
                name = address.replace(ids.event, "{id}").replace(ids.run, "{id}")
                figures.append(Figure(f"{name} ({pages:,.0f} pages)", milliseconds, "ms", at_most=GOAL))
    return figures


async def _filled(db: Database, count: int) -> _Ids:
    began = int(time.time() * 1000) - 30 * _DAY
    for statement in FILL:
        await db.run(statement.format(began=began, step=30 * _DAY // count, count=count))
    ids = ["rare", *(f"f{number}" for number in range(5))]
    await workers.register(db.conn, host="here", pid=1, functions=ids, lease=3600)
    await functions.register(db.conn, [definition(each) for each in ids])
    await db.run("vacuum (analyze) cdc_state.runs", "vacuum (analyze) cdc_state.events", "checkpoint")
    found = "select id::text from cdc_state.{} offset 1234 limit 1"
    event, run = [await db.ask(found.format(table)) for table in ("events", "runs")]
    return _Ids(event, run, await db.ask("select max(id) from cdc_state.ai_calls"))


@asynccontextmanager
async def _served(db: Database) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient, Connecting]]:
    """The application over one connection, so that what it reads can be asked of that."""
    async with pool(db.url, size=1, name="web", prepared=False) as connections:
        site = Site(Statuses(Status("default", "cdc", "cdc")), connections.connection)
        application = app(site)
        web = Web(application, 0)
        web.start()
        try:
            async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=120) as client:
                yield application, client, connections.connection
        finally:
            site.stopping.set()
            await web.stop()


def _addresses(application: FastAPI, ids: _Ids) -> list[str]:
    """Each address that is looked at, and some with the filters that cost most."""
    found = [f"/v1/{asked}" for asked in ASKED]
    for route in application.routes:
        if isinstance(route, Route) and "GET" in (route.methods or ()) and route.path not in ELSEWHERE:
            of = {"events": ids.event, "runs": ids.run, "functions": "f0", "ai": ids.call}.get(_kind(route.path), "")
            found.append(route.path.replace("{id}", str(of)).replace("{id:path}", str(of)))
    return found


def _kind(path: str) -> str:
    return path.removeprefix("/v1").split("/")[1]


async def _asked(client: httpx.AsyncClient, connecting: Connecting, address: str) -> tuple[float, float]:
    """The longest of a few answers in milliseconds, and the pages (8 kB) that the last of them read."""
    longest = 0.0
    await client.get(address)  # templates are compiled, the document is made
    for _ in range(_CALLS):
        before = await _read(connecting)
        began = time.perf_counter()
        response = await client.get(address)
        longest = max(longest, time.perf_counter() - began)
        assert response.status_code in (200, 303, 503), (address, response.text)
    return longest * 1000, await _read(connecting) - before


async def _read(connecting: Connecting) -> int:
    """Pages that the one connection has read by now."""
    async with connecting() as conn:
        await conn.execute("select pg_stat_force_next_flush()")
        row = await (await conn.execute(_BLOCKS)).fetchone()
    assert row is not None
    return int(row[0])
