"""What is measured of the state: how much is unfinished and how long it has waited, without looking at all of it."""

from __future__ import annotations

from typing import Any

import pytest

from cdc.store import gauges, runs
from cdc.store.connect import Connection
from cdc.store.queries import text
from tests.servers import Connect

INSERT = """
    insert into cdc_state.runs (id, function_id, event_ids, status, due_at, rank, held_at, worker_id, ended_at)
    select gen_random_uuid(), 'f', '{}', status, now() - due, now() - due, held_at, worker_id, ended_at
      from (values ('queued', interval '50 s', null, null::integer, null::timestamptz),
                   ('queued', interval '90 s', 'paused', null, null),
                   ('sleeping', interval '-1 h', null, null, null),
                   ('running', interval '2 h', null, 1, null),
                   ('completed', interval '9 h', null, null, now())) as r (status, due, held_at, worker_id, ended_at)
"""


@pytest.fixture
async def conn(connect: Connect, any_migrated_url: str) -> Connection:
    return await connect(any_migrated_url)


async def measured(conn: Connection) -> dict[tuple[str, str], float]:
    return {(each.what, each.name): each.value for each in await gauges.measure(conn)}


async def test_what_is_unfinished_and_how_long_the_first_in_the_queue_has_waited(conn: Connection) -> None:
    empty = await measured(conn)
    assert empty["queue_age", ""] == 0
    assert empty["connections", ""] >= 1
    await conn.execute(INSERT)
    found = await measured(conn)
    assert {name: value for (what, name), value in found.items() if what == "runs"} == {
        "queued": 1,
        "sleeping": 1,
        "held": 1,
        "running": 1,
    }
    assert 50 <= found["queue_age", ""] < 90, "neither one that is held nor one that runs waits for a worker"
    assert (found["inferences", ""], found["gaps", ""]) == (0, 0)


async def test_no_more_runs_are_looked_at_than_are_counted(conn: Connection) -> None:
    many = """
        insert into cdc_state.runs (id, function_id, event_ids, status, due_at, rank, ended_at)
        select gen_random_uuid(), 'f', '{}', status, now() - n * interval '1 ms', now() - n * interval '1 ms',
               case status when 'completed' then now() end
          from generate_series(1, 15000) n, unnest(array['queued', 'completed']) status
    """
    await conn.execute(many.encode())
    await conn.execute("vacuum analyze cdc_state.runs")
    assert await runs.counts(conn) == {"queued": runs.COUNTED}
    assert (await measured(conn))["queue_age", ""] >= 15
    for name, most in (("runs/counts", 1000), ("gauges/measure", 100)):
        query = "explain (analyze, timing off, format json) " + text(name).replace("%(limit)s", "1000")
        row = await (await conn.execute(query.encode())).fetchone()
        assert row is not None
        assert greatest_read(row[0][0]["Plan"]) <= most


def greatest_read(plan: dict[str, Any]) -> float:
    """Rows that a read of runs came to, at most."""
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0) if plan.get("Relation Name") == "runs" else 0.0
    return max([own, *(greatest_read(each) for each in plan.get("Plans", []))])
