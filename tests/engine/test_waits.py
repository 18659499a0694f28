"""Waiting for events: none missed, none counted twice, one answer for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cdc import Context, Event, RetryAfter, function
from cdc.events import fulfil
from cdc.store import waits
from tests.engine.harness import Engine
from tests.engine.telling import cancel, tell, waits_of
from tests.waiting import eventually


@function("waits", on="db/users.inserted", retries=1)
async def one_wait(ctx: Context) -> Any:
    event = await ctx.step.wait_for_event("paid", "app/paid", "1h")
    return event and event.data


@function("matches", on="db/users.inserted")
async def matching_wait(ctx: Context) -> Any:
    event = await ctx.step.wait_for_event("paid", "app/paid", "1h", if_exp="async.data.id == event.data.new.id")
    return event and event.data


async def are_waiting(engine: Engine, count: int = 1) -> None:
    async def so_many() -> bool:
        return [run["status"] for run in await engine.runs()].count("waiting") == count

    await eventually(so_many, what=f"{count} runs wait")


async def test_a_run_goes_on_with_the_event_that_it_waits_for(engine: Engine) -> None:
    async with engine.working(one_wait):
        await engine.send("db/users.inserted", {"id": 1})
        await are_waiting(engine)
        await tell(engine, "app/other", {"id": 0})
        await tell(engine, "app/paid", {"id": 7})
        (run,) = await engine.ended()

    assert (run["status"], run["output"]) == ("completed", {"id": 7})
    assert await waits_of(engine) == []


async def test_a_wait_whose_time_is_over_gives_none(engine: Engine) -> None:
    async with engine.working(one_wait):
        await engine.send("db/users.inserted", {"id": 1})
        await are_waiting(engine)
        (run,) = await engine.ended(hurried=True)
        await tell(engine, "app/paid", {"id": 7})

    assert (run["status"], run["output"]) == ("completed", None)
    assert (await engine.steps())["paid"]["data"] is None
    assert await waits_of(engine) == []


async def test_only_an_event_that_meets_the_expression_counts(engine: Engine) -> None:
    async with engine.working(matching_wait):
        await engine.send("db/users.inserted", {"id": 1}, {"id": 2})
        await are_waiting(engine, 2)
        await tell(engine, "app/paid", {"id": 3}, {}, {"id": 2, "n": "first"}, {"id": 2, "n": "second"})
        (run,) = [run for run in await engine.ended(1) if run["status"] == "completed"]
        assert run["output"] == {"id": 2, "n": "first"}
        await are_waiting(engine)
        await tell(engine, "app/paid", {"id": 1})
        runs = await engine.ended(2)

    assert {run["output"]["id"] for run in runs} == {1, 2}


async def test_match_compares_a_field_of_both_events(engine: Engine) -> None:
    @function("matches", on="app/order")
    async def matches(ctx: Context) -> Any:
        event = await ctx.step.wait_for_event("paid", "app/paid", "1h", match="data.order_id")
        return event and event.data["by"]

    async with engine.working(matches):
        await tell(engine, "app/order", {"order_id": "a"})
        await are_waiting(engine)
        await tell(engine, "app/paid", {"order_id": "b", "by": "x"}, {"order_id": "a", "by": "y"})
        (run,) = await engine.ended()

    assert run["output"] == "y"


async def test_one_event_answers_all_runs_that_wait_for_it(engine: Engine) -> None:
    async with engine.working(one_wait):
        await engine.send("db/users.inserted", *({"id": item} for item in range(5)))
        await are_waiting(engine, 5)
        await tell(engine, "app/paid", {"id": 7})
        runs = await engine.ended(5)

    assert [run["output"] for run in runs] == [{"id": 7}] * 5


async def test_what_was_accepted_before_the_step_does_not_count(engine: Engine) -> None:
    async with engine.working(one_wait):
        await tell(engine, "app/paid", {"id": "early"})
        await engine.send("db/users.inserted", {})
        await are_waiting(engine)
        await tell(engine, "app/paid", {"id": "late"})
        (run,) = await engine.ended()

    assert run["output"] == {"id": "late"}


async def test_the_event_that_starts_a_run_is_not_the_one_it_waits_for(engine: Engine) -> None:
    @function("pairs", on="app/paid")
    async def pairs(ctx: Context) -> Any:
        event = await ctx.step.wait_for_event("next", "app/paid", "1h")
        return event and event.data["n"]

    async with engine.working(pairs):
        await tell(engine, "app/paid", {"n": 1})
        await are_waiting(engine)
        await tell(engine, "app/paid", {"n": 2})
        first, *_ = await engine.ended()

    assert first["output"] == 2


async def test_an_event_accepted_while_the_wait_is_on_its_way_is_not_missed(
    live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, held, go_on = live_engine, asyncio.Event(), asyncio.Event()
    lock_names = waits.lock_names

    async def held_up(conn: Any, *, accepted: Any, awaited: Any = ()) -> None:
        if awaited:
            held.set()
            await go_on.wait()
        await lock_names(conn, accepted=accepted, awaited=awaited)

    monkeypatch.setattr(waits, "lock_names", held_up)
    async with engine.working(one_wait):
        await tell(engine, "app/paid", {"id": "early"})
        await engine.send("db/users.inserted", {})
        await held.wait()
        await tell(engine, "app/paid", {"id": "meanwhile"}, {"id": "later"})
        go_on.set()
        (run,) = await engine.ended()

    assert run["output"] == {"id": "meanwhile"}
    assert await waits_of(engine) == []


async def test_an_event_that_comes_while_the_run_is_busy_answers_its_wait(engine: Engine) -> None:
    go_on = asyncio.Event()

    async def long() -> str:
        await go_on.wait()
        return "long"

    @function("both", on="db/users.inserted")
    async def both(ctx: Context) -> list[Any]:
        event, result = await asyncio.gather(
            ctx.step.wait_for_event("paid", "app/paid", "1h"), ctx.step.run("long", long)
        )
        return [event and event.data, result]

    async with engine.working(both):
        await engine.send("db/users.inserted", {})
        await eventually(lambda: waits_of(engine))
        await tell(engine, "app/paid", {"id": 7})
        assert (await engine.steps())["paid"]["ended"]
        go_on.set()
        (run,) = await engine.ended()

    assert run["output"] == [{"id": 7}, "long"]
    assert await waits_of(engine) == []


async def test_waits_in_a_loop_are_numbered_and_each_has_an_event_of_its_own(engine: Engine) -> None:
    @function("loops", on="db/users.inserted")
    async def loops(ctx: Context) -> list[Any]:
        found = []
        for _ in range(3):
            event = await ctx.step.wait_for_event("next", "app/next", "1h")
            found.append(event and event.data["n"])
        return found

    async with engine.working(loops):
        await engine.send("db/users.inserted", {})
        for number in range(3):
            await eventually(lambda: waits_of(engine))
            await are_waiting(engine)
            await tell(engine, "app/next", {"n": number})

            async def is_answered(count: int = number + 1) -> bool:
                return [step["ended"] for step in (await engine.steps()).values()].count(True) == count

            await eventually(is_answered)
        (run,) = await engine.ended()

    assert run["output"] == [0, 1, 2]
    assert list(await engine.steps()) == ["next", "next:1", "next:2"]


async def test_the_first_of_several_waits_may_be_enough(engine: Engine) -> None:
    @function("first", on="db/users.inserted")
    async def first(ctx: Context) -> list[str]:
        asked = [
            asyncio.create_task(ctx.step.wait_for_event(name, name, "1h")) for name in ("app/paid", "app/cancelled")
        ]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        return [event.name for task in done if (event := task.result())]

    async with engine.working(first):
        await engine.send("db/users.inserted", {})
        await are_waiting(engine)
        await tell(engine, "app/cancelled", {})
        (run,) = await engine.ended()

    assert run["output"] == ["app/cancelled"]
    assert await waits_of(engine) == []


async def test_an_answer_is_the_same_on_every_replay(engine: Engine) -> None:
    seen: list[Any] = []

    @function("again", on="db/users.inserted", retries=3)
    async def again(ctx: Context) -> None:
        seen.append(
            await asyncio.gather(
                ctx.step.wait_for_event("paid", "app/paid", "1h"), ctx.step.wait_for_event("never", "app/never", "1m")
            )
        )
        await tell(engine, "app/paid", {"id": "another"})
        await tell(engine, "app/never", {})
        if ctx.attempt < 3:
            raise RuntimeError("once more")

    async with engine.working(again):
        await engine.send("db/users.inserted", {})
        await are_waiting(engine)
        await tell(engine, "app/paid", {"id": 7})
        await engine.ended(hurried=True)

    assert len(seen) == 3
    assert [(paid.data, never) for paid, never in seen] == [({"id": 7}, None)] * 3
    assert isinstance(seen[0][0], Event)


async def test_a_cancelled_run_waits_no_more(engine: Engine) -> None:
    async with engine.working(one_wait):
        await engine.send("db/users.inserted", {})
        await are_waiting(engine)
        await cancel(engine)
        assert await waits_of(engine) == []
        await tell(engine, "app/paid", {"id": 7})
        (run,) = await engine.ended()

    assert run["status"] == "cancelled"


async def test_a_run_cancelled_while_its_wait_is_on_its_way_leaves_none_behind(
    live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, held, go_on = live_engine, asyncio.Event(), asyncio.Event()
    register = waits.register

    async def held_up(conn: Any, waits_: Any) -> Any:
        held.set()
        await go_on.wait()
        return await register(conn, waits_)

    @function("busy", on="db/users.inserted")
    async def busy(ctx: Context) -> None:
        await asyncio.gather(
            ctx.step.wait_for_event("paid", "app/paid", "1h"), ctx.step.run("long", asyncio.Event().wait)
        )

    monkeypatch.setattr(waits, "register", held_up)
    async with engine.doomed(busy):
        await engine.send("db/users.inserted", {})
        await held.wait()
        await cancel(engine)
        go_on.set()

        async def is_written() -> bool:
            return "paid" in await engine.steps()

        await eventually(is_written)

    assert await waits_of(engine) == []


async def test_only_the_waits_for_this_value_are_looked_at(
    live_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, looked_at = live_engine, []
    fulfils: Callable[..., bool] = fulfil.fulfils

    def counted(event: Any, wait: Any) -> bool:
        looked_at.append(wait.value)
        return fulfils(event, wait)

    async with engine.working(matching_wait):
        await engine.send("db/users.inserted", {"id": 1})
        await are_waiting(engine)
        await engine.conn.execute(
            "insert into cdc_state.waits (run_id, id, cancels, event, path, value, expression, context, expires_at)"
            " select gen_random_uuid(), 'paid', cancels, event, path, item::text, expression, context, expires_at"
            " from cdc_state.waits, generate_series(2, 20000) as item"
        )
        monkeypatch.setattr(fulfil, "fulfils", counted)
        await tell(engine, "app/paid", {"id": 1})
        (run,) = await engine.ended()

    assert run["output"] == {"id": 1}
    assert looked_at == ["1"]


async def test_a_wait_outlives_its_worker(engine: Engine) -> None:
    async with engine.doomed(one_wait):
        await engine.send("db/users.inserted", {})
        await are_waiting(engine)
    await tell(engine, "app/paid", {"id": 7})
    async with engine.working(one_wait):
        (run,) = await engine.ended()

    assert run["output"] == {"id": 7}


async def test_a_worker_that_dies_beside_a_wait_loses_neither_wait_nor_answer(live_engine: Engine) -> None:
    engine, bodies, reached = live_engine, 0, asyncio.Event()

    async def stuck_once() -> str:
        nonlocal bodies
        bodies += 1
        if bodies == 1:
            reached.set()
            await asyncio.Event().wait()
        return "done"

    @function("both", on="db/users.inserted")
    async def both(ctx: Context) -> list[Any]:
        event, result = await asyncio.gather(
            ctx.step.wait_for_event("paid", "app/paid", "1h"), ctx.step.run("stuck", stuck_once)
        )
        return [event and event.data, result]

    async with engine.doomed(both):
        await engine.send("db/users.inserted", {})
        await reached.wait()
        await eventually(lambda: waits_of(engine))
        await tell(engine, "app/paid", {"id": 7})
    await engine.end_leases()
    async with engine.working(both):
        (run,) = await engine.ended()

    assert run["output"] == [{"id": 7}, "done"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"event": "app/*"}, "pattern"),
        ({"event": "app/a", "if_exp": "async.data.("}, "step 'wait'"),
        ({"event": "app/a", "if_exp": "async.ts > 1", "match": "data.id"}, "not both"),
        ({"event": "app/a", "timeout": "soon"}, "not a duration"),
        ({"event": "inngest/function.finished"}, "invoke the function"),
    ],
)
async def test_what_cannot_be_waited_for_fails_the_run_at_once(
    live_engine: Engine, wanted: dict[str, str], said: str
) -> None:
    @function("wrong", on="db/users.inserted")
    async def wrong(ctx: Context) -> None:
        await ctx.step.wait_for_event("wait", **{"timeout": "1h", **wanted})

    async with live_engine.working(wrong):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended()

    assert (run["status"], run["error"]["name"], run["failures"]) == ("failed", "NonRetriableError", 0)
    assert said in run["error"]["message"]


async def test_an_answer_does_not_shorten_the_pause_before_a_failed_handler_is_called_again(
    live_engine: Engine,
) -> None:
    engine, calls, answered = live_engine, 0, asyncio.Event()

    async def until_answered() -> None:
        await answered.wait()

    @function("fails", on="db/users.inserted", retries=1)
    async def fails(ctx: Context) -> Any:
        nonlocal calls
        calls += 1
        waiting = asyncio.create_task(ctx.step.wait_for_event("paid", "app/paid", "1h"))
        await ctx.step.run("until", until_answered)
        if calls == 1:
            raise RetryAfter("the handler itself", "1h")
        event = await waiting
        return event and event.data

    async with engine.working(fails):
        await engine.send("db/users.inserted", {})
        await eventually(lambda: waits_of(engine))
        await tell(engine, "app/paid", {"id": 1})
        answered.set()
        await engine.run_is("queued")
        rows: Sequence[Any] = await (
            await engine.conn.execute(
                "select due_at > now() + interval '50 min', rank > now() + interval '50 min' from cdc_state.runs"
            )
        ).fetchall()
        assert rows == [(True, True)]
        assert calls == 1
        (run,) = await engine.ended(hurried=True)

    assert run["output"] == {"id": 1}


async def test_a_sleep_beside_a_long_step_ends_when_it_was_to_end(live_engine: Engine) -> None:
    engine, go_on = live_engine, asyncio.Event()

    async def long() -> None:
        await go_on.wait()

    @function("both", on="db/users.inserted")
    async def both(ctx: Context) -> None:
        await asyncio.gather(ctx.step.sleep("sleep", "1h"), ctx.step.run("long", long))

    async with engine.working(both):
        await engine.send("db/users.inserted", {})

        async def is_recorded() -> bool:
            return "sleep" in await engine.steps()

        await eventually(is_recorded)
        (worker,) = engine.workers
        loop = asyncio.get_running_loop()
        an_hour_ahead = loop.time
        try:
            loop.time = lambda: an_hour_ahead() + 1800  # type: ignore[method-assign]
            go_on.set()
            await engine.run_is("sleeping")
        finally:
            loop.time = an_hour_ahead  # type: ignore[method-assign]
        rows = await (
            await engine.conn.execute(
                "select extract(epoch from r.due_at - now())::float8, extract(epoch from s.wake_at - now())::float8"
                " from cdc_state.runs r, cdc_state.steps s where s.id = 'sleep'"
            )
        ).fetchall()

    assert worker.in_flight == 0
    ((due_in, wake_in),) = rows
    assert due_in == pytest.approx(1800, abs=60)
    assert wake_in == pytest.approx(3600, abs=60)
