"""Events that steps send: in the same commit as the step's record."""

from __future__ import annotations

from cdc import Context, Event, function
from tests.engine.harness import Engine


@function("receives", on="app/order.paid")
async def receives(ctx: Context) -> int:
    return int(ctx.event.data["id"])


async def names(engine: Engine) -> list[str]:
    cursor = await engine.conn.execute("select name from cdc_state.events where name like 'app/%' order by name")
    return [row[0] for row in await cursor.fetchall()]


async def test_a_sent_event_starts_its_functions_and_its_id_is_returned(engine: Engine) -> None:
    @function("sends", on="db/users.inserted")
    async def sends(ctx: Context) -> list[str]:
        return await ctx.step.send_event(
            "tell",
            [Event("app/order.paid", {"id": 7}), Event("app/nobody.listens"), Event("app/order.paid", {"id": 8})],
        )

    async with engine.working(sends, receives):
        await engine.send("db/users.inserted", {})
        runs = await engine.ended(3)

    outputs = {run["function"]: run["output"] for run in runs}
    assert sorted(run["output"] for run in runs if run["function"] == "receives") == [7, 8]
    cursor = await engine.conn.execute("select id::text from cdc_state.events where name like 'app/%'")
    assert sorted(outputs["sends"]) == sorted(row[0] for row in await cursor.fetchall())


async def test_an_event_is_sent_once_however_often_the_handler_is_replayed(engine: Engine) -> None:
    @function("sends", on="db/users.inserted", retries=3)
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("tell", Event("app/order.paid", {"id": 1}))
        if ctx.attempt < 3:
            raise RuntimeError("after the step")

    async with engine.working(sends, receives):
        await engine.send("db/users.inserted", {})
        await engine.ended(2, hurried=True)

    assert await names(engine) == ["app/order.paid"]


async def test_events_and_record_are_one_commit(live_engine: Engine) -> None:
    engine = live_engine
    await engine.conn.execute("alter table cdc_state.events add check (data ->> 'bad' is null)")

    @function("sends", on="db/users.inserted", retries=0)
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("tell", [Event("app/a"), Event("app/b", {"bad": True})])

    async with engine.working(sends):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "failed"
    assert await names(engine) == []
    assert await engine.steps() == {}


async def test_a_name_that_is_taken_fails_the_run_at_once(engine: Engine) -> None:
    @function("sends", on="db/users.inserted")
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("tell", Event("db/users.inserted", {}))

    async with engine.working(sends):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "failed"
    assert "'db/users.inserted'" in run["error"]["message"]


async def test_many_senders_lose_and_double_nothing_when_connections_are_lost(live_engine: Engine) -> None:
    engine = live_engine

    @function("sends", on="db/users.inserted")
    async def sends(ctx: Context) -> None:
        for item in range(3):
            await ctx.step.send_event("tell", Event("app/order.paid", {"id": item}))

    async with engine.working(sends, receives):
        await engine.send("db/users.inserted", *({"id": item} for item in range(100)))
        for _ in range(5):
            await engine.conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid() and application_name = 'cdc'"
            )
        runs = await engine.ended(400)

    assert {run["status"] for run in runs} == {"completed"}
    assert len(runs) == 400
    assert await names(engine) == ["app/order.paid"] * 300
