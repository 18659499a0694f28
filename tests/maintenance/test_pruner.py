"""What is past is deleted, what something unfinished needs is not, and nobody at work is in the way of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from cdc import Batch, Context, Event, function
from cdc.maintenance.pruner import Pruner
from cdc.store import ai_calls
from cdc.store.ai_calls import CallRecord
from cdc.store.connect import connect
from tests.engine.harness import Engine
from tests.waiting import eventually

DAY = 86400.0
WEEK = 7 * DAY


def pruner(engine: Engine, page: int = 500) -> Pruner:
    return Pruner(lambda: connect(engine.url, autocommit=True), retention=WEEK, page=page)


async def days_pass(engine: Engine, days: float) -> None:
    """Set the clock forward: whatever there is, is older by so many days. Ids of runs tell when they were made."""
    for statement in (
        "update cdc_state.events set accepted_at = accepted_at - {0}",
        "update cdc_state.rejected_events set rejected_at = rejected_at - {0}",
        "update cdc_state.gates set free_at = free_at - {0}, booked_until = booked_until - {0}",
        "create or replace function pg_temp.older(id uuid, ms bigint) returns uuid language sql as $$"
        " select (lpad(to_hex(('x' || substr(replace(id::text, '-', ''), 1, 12))::bit(48)::bigint - ms), 12, '0')"
        " || substr(replace(id::text, '-', ''), 13))::uuid $$",
        "update cdc_state.runs set ended_at = ended_at - {0}, created_at = created_at - {0},"
        " id = pg_temp.older(id, {1}), replays = pg_temp.older(replays, {1}), invoker = pg_temp.older(invoker, {1})",
        "update cdc_state.steps set run_id = pg_temp.older(run_id, {1})",
        "update cdc_state.logs set run_id = pg_temp.older(run_id, {1})",
        "update cdc_state.metadata set run_id = pg_temp.older(run_id, {1})",
        "update cdc_state.waits set run_id = pg_temp.older(run_id, {1})",
        "update cdc_state.ai_calls set ended_at = ended_at - {0}",
    ):
        filled = statement.replace("{0}", f"{days} * interval '1 day'").replace("{1}", f"{int(days * DAY * 1000)}")
        await engine.conn.execute(filled.encode())


async def count(engine: Engine, *tables: str) -> list[int]:
    found = []
    for table in tables:
        row = await (await engine.conn.execute(f"select count(*) from cdc_state.{table}".encode())).fetchone()
        assert row is not None
        found.append(row[0])
    return found


@function("greets", on="db/users.inserted")
async def greets(ctx: Context) -> str:
    ctx.logger.info("greeting")
    return await ctx.step.run("greet", str, "hello")


@function("sleeps", on="db/sleepers.inserted")
async def sleeps(ctx: Context) -> Any:
    await ctx.step.run("first", str, "first")
    await ctx.step.sleep("long", "30d")
    return ctx.event.data["new"]


@function("waits", on="db/waiters.inserted")
async def waits(ctx: Context) -> Any:
    answer = await ctx.step.wait_for_event("answer", "db/answers.inserted", timeout="365d")
    assert answer is not None
    return [ctx.event.data["new"], answer.data["new"]]


@function("gathers", on="db/parts.inserted", batch_events=Batch(10, timeout="7d"))
async def gathers(ctx: Context) -> list[Any]:
    return [event.data["new"] for event in ctx.events]


async def test_what_is_over_is_gone_with_all_that_was_its(engine: Engine) -> None:
    async with engine.working(greets):
        await engine.send("db/users.inserted", *({"n": n} for n in range(7)))
        await engine.ended(7)
    await engine.send("db/nobody.listens", {})
    await engine.conn.execute(
        "insert into cdc_state.rejected_events (id, name, position, reason) values (gen_random_uuid(), 'x', '0/0', 'y')"
    )
    await engine.conn.execute(
        "insert into cdc_state.ai_calls (run_id, operation, provider, model, latency)"
        " select id, 'chat', 'openai', 'gpt-4o', 1 from cdc_state.runs"
    )
    tables = ("runs", "steps", "logs", "ai_calls", "events", "rejected_events")
    await days_pass(engine, 6)
    await pruner(engine).tick()
    assert await count(engine, *tables) == [7, 7, 7, 7, 8, 1]
    await days_pass(engine, 2)
    await pruner(engine, page=2).tick()
    assert await count(engine, *tables) == [0, 0, 0, 0, 0, 0]


async def test_what_an_unfinished_run_needs_stays_and_it_goes_on(engine: Engine) -> None:
    working = (greets, sleeps, waits, gathers)
    async with engine.working(*working):
        await engine.send("db/users.inserted", *({"n": n} for n in range(5)))
        await engine.ended(5)
        await engine.send("db/sleepers.inserted", {"name": "Ada"})
        await engine.send("db/waiters.inserted", {"name": "Grace"})
        await engine.send("db/parts.inserted", {"part": 1})
        await engine.send("db/parts.inserted", {"part": 2})
        await _settled(engine, {"completed", "sleeping", "waiting", "queued"})
    await days_pass(engine, 40)
    await pruner(engine, page=3).tick()
    assert await count(engine, "runs", "steps", "events", "waits") == [3, 3, 4, 1]

    async with engine.working(*working):
        await engine.send("db/parts.inserted", {"part": 3})
        await engine.send("db/answers.inserted", {"answer": 42})
        runs = await engine.ended(3, hurried=True)
    assert {run["function"]: run["output"] for run in runs} == {
        "sleeps": {"name": "Ada"},
        "waits": [{"name": "Grace"}, {"answer": 42}],
        "gathers": [{"part": 1}, {"part": 2}, {"part": 3}],
    }


async def test_a_run_that_ended_late_is_kept_from_its_end_with_its_event(engine: Engine) -> None:
    async with engine.working(sleeps):
        await engine.send("db/sleepers.inserted", {"name": "Ada"})
        await engine.run_is("sleeping")
    await days_pass(engine, 30)
    async with engine.working(sleeps):
        await engine.ended(hurried=True)
    await pruner(engine).tick()
    assert await count(engine, "runs", "events") == [1, 1]
    await days_pass(engine, 8)
    await pruner(engine).tick()
    assert await count(engine, "runs", "events") == [0, 0]


async def test_a_run_that_repeats_another_keeps_the_events_of_both(engine: Engine) -> None:
    async with engine.working(greets):
        await engine.send("db/users.inserted", {})
        await engine.ended()
    await days_pass(engine, 40)
    await engine.conn.execute(
        "insert into cdc_state.runs (id, function_id, event_ids, replays)"
        " select %s::uuid, function_id, event_ids, id from cdc_state.runs",
        ["01ffffff-0000-7000-8000-000000000000"],
    )
    await pruner(engine).tick()
    assert await count(engine, "runs", "events") == [2, 1]
    async with engine.working(greets):
        runs = await engine.ended(2)
    assert {run["status"] for run in runs} == {"completed"}


async def test_gates_that_count_nothing_any_more_are_gone(engine: Engine) -> None:
    await engine.conn.execute(
        """
        insert into cdc_state.gates (name, taken, free_at, booked_until) values
            ('concurrency/0/f/idle', 0, 'epoch', 'epoch'), ('concurrency/0/f/busy', 1, 'epoch', 'epoch'),
            ('concurrency/0/f/standing', 0, 'epoch', 'epoch'),
            ('event//old', 1, now() - interval '1 s', 'epoch'), ('event//young', 1, now() + interval '1 h', 'epoch'),
            ('once/f/old', 1, now() - interval '1 s', 'epoch'), ('rate/f/young', 9, now() + interval '1 h', 'epoch'),
            ('rate/f/old', 9, now() - interval '1 s', 'epoch'), ('single/f/x', 0, 'epoch', 'epoch'),
            ('throttle/0/f/booked', 0, 'epoch', now() + interval '1 h'), ('turn/f/taken', 1, 'epoch', 'epoch'),
            ('turn/f/free', 0, 'epoch', 'epoch');
        insert into cdc_state.runs (id, function_id, event_ids, held_at)
        values (gen_random_uuid(), 'f', '{}', 'concurrency/0/f/standing');
        """
    )
    await pruner(engine, page=2).tick()
    cursor = await engine.conn.execute("select name from cdc_state.gates order by name")
    assert [row[0] for row in await cursor.fetchall()] == [
        "concurrency/0/f/busy",
        "concurrency/0/f/standing",
        "event//young",
        "rate/f/young",
        "throttle/0/f/booked",
        "turn/f/taken",
    ]


async def test_two_at_once_and_rows_that_are_locked_do_no_harm(engine: Engine) -> None:
    async with engine.working(greets):
        await engine.send("db/users.inserted", *({"n": n} for n in range(200)))
        await engine.ended(200)
    await days_pass(engine, 8)
    busy = await connect(engine.url, autocommit=True)
    async with busy, busy.transaction():
        await busy.execute("select from cdc_state.runs order by id limit 1 for update")
        await busy.execute("select from cdc_state.events order by accepted_at, id limit 1 for update")
        async with asyncio.timeout(60):
            await asyncio.gather(*(pruner(engine, page=7).tick() for _ in range(3)))
        assert await count(engine, "runs", "steps", "logs") == [1, 1, 1]
    await pruner(engine).tick()
    assert await count(engine, "runs", "steps", "logs", "events") == [0, 0, 0, 0]


async def test_events_come_in_and_runs_go_on_while_it_prunes(engine: Engine) -> None:
    @function("counts", on="db/users.inserted", concurrency=2)
    async def counts(ctx: Context) -> int:
        await ctx.step.send_event("tell", Event("app/counted", {"n": ctx.event.data["new"]["n"]}))
        return int(ctx.event.data["new"]["n"])

    async with engine.working(counts):
        for start in range(0, 100, 10):
            await engine.send("db/users.inserted", *({"n": n} for n in range(start, start + 10)))
            await pruner(engine, page=5).tick()
        runs = await engine.ended(100)
    assert sorted(run["output"] for run in runs) == list(range(100))


@pytest.mark.parametrize("page", [1, 3])
async def test_needed_events_that_came_at_one_moment_do_not_stop_it(engine: Engine, page: int) -> None:
    await engine.send("db/nobody.listens", *({"n": n} for n in range(10)))
    await engine.conn.execute(
        "insert into cdc_state.runs (id, function_id, event_ids)"
        " select '01000000-0000-7000-8000-000000000000', 'f', array_agg(id)"
        " from (select id from cdc_state.events order by id limit 6) e"
    )
    await engine.conn.execute("update cdc_state.events set accepted_at = now() - interval '8 days'")
    await pruner(engine, page=page).tick()
    assert await count(engine, "events") == [6]


async def _settled(engine: Engine, statuses: Sequence[str] | set[str]) -> None:
    async def is_so() -> bool:
        return {run["status"] for run in await engine.runs()} == set(statuses)

    await eventually(is_so, what=f"runs are {statuses}")


async def test_what_is_left_of_tables_that_no_trigger_narrows_on_is_deleted(engine: Engine) -> None:
    await engine.conn.execute(
        "insert into cdc_state.sources (name, system_identifier, timeline, slot, retired_at)"
        " values ('default', '1', 1, 's', null), ('gone', '1', 1, 's', now())"
    )
    await engine.conn.execute(
        "insert into cdc_state.narrowed_tables (source_id, schema, name, identity)"
        " select s.id, 'public', t.name, '' from cdc_state.sources s, (values ('a'), ('b')) as t (name)"
        " where s.name in ('default', 'gone') and s.slot = 's'"
    )
    await engine.conn.execute(
        "insert into cdc_state.row_hashes (table_id, key, hashes) select t.id, gen_random_uuid(), '{}'"
        " from (select id from cdc_state.narrowed_tables union all values (0), (1000000)) as t (id),"
        " generate_series(1, 25)"
    )
    await pruner(engine, page=10).tick()
    (left,) = await count(engine, "row_hashes where table_id not in (select id from cdc_state.narrowed_tables)")
    of_retired = await count(
        engine,
        "row_hashes r join cdc_state.narrowed_tables t on t.id = r.table_id join cdc_state.sources s on"
        " s.id = t.source_id where s.retired_at is not null",
    )
    assert (left, of_retired) == (0, [0])
    assert await count(engine, "row_hashes") == [50]


async def test_calls_of_models_are_kept_as_long_as_runs(engine: Engine) -> None:
    async def call(times: int) -> None:
        await ai_calls.write(engine.conn, [CallRecord("embeddings", "openai", "m", 0.1)] * times)

    await call(7)
    await days_pass(engine, 6)
    await call(2)
    await pruner(engine, page=3).tick()
    assert await count(engine, "ai_calls") == [9]
    await days_pass(engine, 2)
    await pruner(engine, page=3).tick()
    assert await count(engine, "ai_calls") == [2]
