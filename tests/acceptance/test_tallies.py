"""What services count of their work is what they have stored, whoever did it and by whichever door it came."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path
from signal import SIGKILL

from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.conftest import Write
from tests.acceptance.service import Service, cdc, running
from tests.acceptance.state import USERS, workers
from tests.servers import Connect, Connection
from tests.waiting import eventually

BUSY = """
    from cdc import Context, Event, NonRetriableError, function

    @function("greet", on="db/users.inserted", retries=3)
    async def greet(ctx: Context) -> str:
        async def unsure() -> str:
            if ctx.event.data["new"]["name"] == "Grace" and not tried:
                tried.append(True)
                raise ConnectionError("not yet")
            return "hello"

        said = await ctx.step.run("say", unsure)
        await ctx.step.send_event("tell", Event("greeted", {}))
        return said

    tried = []

    @function("refuse", on="greeted")
    async def refuse(ctx: Context) -> None:
        raise NonRetriableError("no")

    @function("rest", on="sent/rest")
    async def rest(ctx: Context) -> None:
        await ctx.step.sleep("long", "1h")
"""


async def stored(conn: Connection) -> dict[str, Counter[str]]:
    """What the tables of events and runs hold."""
    found = {"event": await counter(conn, "select name from cdc_state.events")}
    found["started"] = await counter(conn, "select function_id from cdc_state.runs where started_at is not null")
    for status in ("completed", "failed", "cancelled"):
        found[status] = await counter(conn, f"select function_id from cdc_state.runs where status = '{status}'")
    return found


async def counter(conn: Connection, query: str) -> Counter[str]:
    return Counter(name for (name,) in await (await conn.execute(query.encode())).fetchall())


async def tallied(conn: Connection, width: int) -> dict[str, Counter[str]]:
    query = (
        "select what, name, sum(count)::integer from cdc_state.tallies where width = %s and name <> '' group by 1, 2"
    )
    found: dict[str, Counter[str]] = {}
    for what, name, count in await (await conn.execute(query, [width])).fetchall():
        found.setdefault(what, Counter())[name] = count
    return found


async def test_what_replicas_counted_is_what_is_stored(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("busy.py", BUSY)
    conn = await connect(database_url)
    await conn.execute(USERS)
    settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": str(functions)}
    async with running(**settings, CDC_WORKERS="2") as service, running("--only", "worker", **settings):
        await conn.execute("insert into users (name) select 'user ' || n from generate_series(1, 29) n")
        await conn.execute("insert into users (name) values ('Grace')")
        sent = await service.post("/e/key", [{"name": "sent/rest", "data": {}}] * 7)
        assert sent.status_code == 200

        async def settled() -> bool:
            found = await stored(conn)
            asleep = await counter(conn, "select function_id from cdc_state.runs where status = 'sleeping'")
            return found["completed"]["greet"] == found["failed"]["refuse"] == 30 and asleep["rest"] == 7

        await eventually(settled, within=60)
        (run_id,) = await (
            await conn.execute("select id::text from cdc_state.runs where function_id = 'rest' limit 1")
        ).fetchone() or ("",)
        assert (await service.post(f"/v1/runs/{run_id}/cancel", {})).status_code == 200
        assert (await cdc("cancel", "--function", "rest", "--yes", **settings)).code == 0

        async def cancelled() -> bool:
            return (await stored(conn))["cancelled"]["rest"] == 7

        await eventually(cancelled)

        async def is_told() -> bool:
            told = await scraped(service)
            assert told["cdc_events_accepted_total"].get(("db/users.inserted",)) == 30, "it listens"
            assert told["cdc_run_duration_seconds_count"].get(("greet",), 0) <= 30
            assert told["cdc_listening"]["default",] == told["cdc_state_up"][()] == 1
            assert told["cdc_slot_lost"].get(("default",)) == told["cdc_gaps_open"].get(()) == 0
            assert told["cdc_slot_retained_bytes"].get(("default",), 0) > 0
            assert told["cdc_state_connections"].get((), 0) > 1
            return True

        # What is measured is measured once a minute.
        await eventually(is_told, within=90)

        async def is_written() -> bool:
            expected = await stored(conn)
            for width in (60, 3600):
                found = await tallied(conn, width)
                retried = found.pop("retried", Counter())
                assert found == expected
                assert 1 <= retried["greet"] <= 3, "once in each process that had not tried"
            return True

        # Before the end: the last words of a service are given up where the database is slow to take them.
        await eventually(is_written)
    assert await is_written(), "and nothing is counted twice at the end"
    (waited, took, short) = await (
        await conn.execute(
            "select sum(seconds) filter (where what = 'started'), sum(seconds) filter (where what = 'completed'), "
            "sum(buckets[array_length(buckets, 1)]) from cdc_state.tallies where width = 60 and name <> ''"
        )
    ).fetchone() or (0, 0, 1)
    assert 0 < waited < 37 * 40
    assert 0 < took < 30 * 40
    assert short == 0, "nothing took longer than a day"


async def test_a_killed_worker_takes_no_more_with_it_than_it_had_not_told_yet(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("busy.py", BUSY)
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions) as service:
        await conn.execute("insert into users (name) values ('Ada'), ('Barbara')")

        async def both() -> bool:
            return (await scraped(service))["cdc_runs_total"].get(("greet", "completed")) == 2

        await eventually(both, what="the service knows of both runs")
        (pid,) = await workers(conn)
        os.kill(pid, SIGKILL)
        await service.logs("worker process died")
        await conn.execute("insert into users (name) values ('Edith')")

        async def all_three() -> bool:
            return (await stored(conn))["completed"]["greet"] == 3

        await eventually(all_three)

        async def all_are_written() -> bool:
            found = [await tallied(conn, width) for width in (60, 3600)]
            return all("completed" in each and each["completed"]["greet"] == 3 for each in found)

        await eventually(all_are_written)
    assert await all_are_written(), "and nothing is counted twice at the end"


async def scraped(service: Service) -> dict[str, dict[tuple[str, ...], float]]:
    """Samples of its metrics, by name and the values of their labels."""
    found: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
    for family in text_string_to_metric_families((await service.get("/metrics")).text):
        for sample in family.samples:
            found[sample.name][tuple(sample.labels.values())] = sample.value
    return found
