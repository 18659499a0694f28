"""Flow control over two services, each with a worker process; workers are killed in the middle."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from textwrap import dedent

import pytest

from tests.acceptance.service import Service, started
from tests.servers import Connect, Connection
from tests.waiting import eventually

FUNCTIONS = """
    import asyncio
    from cdc import Batch, Concurrency, Context, Throttle, function

    async def work(ctx: Context, what: str) -> None:
        # Counted by the database: a row at the beginning, its end noted when the body is done.
        async with ctx.db.connection() as conn:
            await conn.execute(
                "insert into work (run_id, function_id, step, keys, n) values (%s, %s, %s, %s, %s)",
                [ctx.run_id, what.split()[0], what, [str(e.data["new"]["key"]) for e in ctx.events],
                 [e.data["new"]["id"] for e in ctx.events]])
        await asyncio.sleep(0.01)

    @function("limited", on="db/items.inserted", concurrency=[Concurrency(4), Concurrency(1, key="event.data.new.key")])
    async def limited(ctx: Context) -> None:
        await ctx.step.run("one", work, ctx, "limited one")
        await ctx.step.sleep("nap", 0.05)
        await ctx.step.run("two", work, ctx, "limited two")

    @function("shared", on="db/items.inserted", concurrency=Concurrency(3, key="'all'", scope="env"))
    async def shared(ctx: Context) -> None:
        await ctx.step.run("one", work, ctx, "shared one")

    @function("ordered", on="db/items.inserted", order_by="event.data.new.key")
    async def ordered(ctx: Context) -> None:
        await ctx.step.run("one", work, ctx, "ordered one")

    @function("throttled", on="db/items.inserted", throttle=Throttle(50, "1s", burst=5))
    async def throttled(ctx: Context) -> None:
        await ctx.step.run("one", work, ctx, "throttled one")

    @function("batched", on="db/items.inserted", concurrency=1,
              batch_events=Batch(10, timeout="1s", key="event.data.new.key"))
    async def batched(ctx: Context) -> None:
        await ctx.step.run("one", work, ctx, "batched one")
"""

ITEMS = "create table items (id bigint primary key, key integer not null)"

WATCH = """
    create table work (at timestamptz not null default clock_timestamp(), run_id uuid, function_id text, step text,
                       keys text[], n bigint[]);
    create table over (at timestamptz not null default clock_timestamp(), gate text, placed bigint);

    -- Whoever takes a place holds the gate's lock, so that the count is exact.
    create function note_over() returns trigger language plpgsql as $$
    begin
        insert into over (gate, placed)
        select gate, count(*) from unnest(new.gates) as gate
          join cdc_state.runs r on r.placed and gate = any (r.gates)
         where gate like 'concurrency/%'
         group by gate
        having count(*) > case when gate like 'concurrency/0/limited/%' then 4
                               when gate like 'concurrency/1/limited/%' then 1
                               when gate like 'concurrency/env//%' then 3 else 1 end;
        return null;
    end $$;
    create trigger note_over after update on cdc_state.runs
        for each row when (new.placed and not old.placed) execute function note_over();
"""

ROWS = 150


async def of(conn: Connection, query: str) -> list[tuple[object, ...]]:
    return await (await conn.execute(query.encode())).fetchall()


def workers(service: Service) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()]


@pytest.mark.timeout(300)
async def test_two_services_keep_every_limit_and_lose_nothing_while_workers_die(
    migrated_url: str, connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "flow.py").write_text(dedent(FUNCTIONS))
    conn = await connect(migrated_url)
    await conn.execute(ITEMS.encode())
    await conn.execute(WATCH.encode())
    settings: dict[str, str | Path] = {
        "DATABASE_URL": migrated_url,
        "CDC_FUNCTIONS": tmp_path / "functions",
    }
    async with AsyncExitStack() as services:
        one = await services.enter_async_context(started(**settings))
        await one.logs("api")
        other = await services.enter_async_context(started(**settings))
        await other.logs("api")
        for service in (None, one, other):
            if service is not None:
                for pid in workers(service):
                    os.kill(pid, signal.SIGKILL)
            ((count,),) = await of(conn, "select count(*) from items")
            assert isinstance(count, int)
            await conn.execute(
                b"insert into items select n, n %% 7 from generate_series(%s::bigint, %s::bigint) as n",
                [count, count + ROWS // 3 - 1],
            )

            async def moves(least: int = 4 * count) -> bool:
                ((rows,),) = await of(conn, "select count(*) from work")
                return int(str(rows)) > least

            await eventually(moves, within=60, what="work goes on")

        async def all_done() -> bool:
            unfinished = await of(
                conn,
                "select function_id, status, held_at, count(*) from cdc_state.runs"
                " where ended_at is null group by 1, 2, 3",
            )
            ended = await of(conn, "select count(*) from cdc_state.events where name = 'db/items.inserted'")
            assert not unfinished, unfinished
            return ended == [(ROWS,)]

        await eventually(all_done, within=120, what="every run has ended")

    assert await of(conn, "select * from over") == []
    assert (
        await of(conn, "select name, taken from cdc_state.gates where name ~ '^(concurrency|turn)/' and taken <> 0")
        == []
    )
    assert await of(conn, "select function_id, status from cdc_state.runs where status <> 'completed'") == []
    per_event = await of(
        conn,
        "select function_id, count(distinct r.id), count(distinct e) from cdc_state.runs r, unnest(event_ids) as e"
        " where function_id <> 'batched' group by 1 order by 1",
    )
    assert per_event == [(name, ROWS, ROWS) for name in ("limited", "ordered", "shared", "throttled")]
    batched = await of(
        conn,
        "select count(e), count(distinct e) from cdc_state.runs, unnest(event_ids) as e where function_id = 'batched'",
    )
    assert batched == [(ROWS, ROWS)]
    out_of_order = (
        "select * from (select n[1] as n, lag(n[1]) over (partition by keys[1] order by began) as before"
        " from (select keys, n, min(at) as began from work where function_id = 'ordered' group by 1, 2) as firsts)"
        " as each where n < before"
    )
    assert await of(conn, out_of_order) == []
    throttled = (
        "select a.started_at, count(*) from cdc_state.runs a join cdc_state.runs b on b.function_id = a.function_id"
        " and b.started_at >= a.started_at and b.started_at < a.started_at + interval '0.99 s'"
        " where a.function_id = 'throttled' group by a.id having count(*) > 54"
    )
    assert await of(conn, throttled) == []
