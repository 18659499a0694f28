"""Concurrency limits and order_by: never over, never starving, nothing lost; two workers compete in most tests."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from datetime import timedelta

import pytest

from cdc import Cancel, Concurrency, Context, RetryAfter, Throttle, function
from cdc.events.intake import new_id
from cdc.store.events import Incoming
from tests.engine.flow.flow import MISCOUNTED, Flow
from tests.waiting import eventually


async def test_a_limit_holds_for_two_workers_and_every_run_gets_through(flow: Flow) -> None:
    @function("limited", on="app/a", concurrency=3)
    async def limited(ctx: Context) -> int:
        await ctx.step.run("first", flow.meter.work, ctx.run_id)
        await ctx.step.run("second", flow.meter.work, ctx.run_id)
        return int(ctx.event.data["n"])

    async with flow.two(limited):
        for start in range(0, 40, 10):
            await flow.send("app/a", *({"n": n} for n in range(start, start + 10)))
        runs = await flow.done(40)

    assert sorted(flow.outputs(runs)) == list(range(40))
    assert 2 <= flow.meter.most[""] <= 3


async def test_each_key_has_places_of_its_own_within_the_limit_of_all(flow: Flow) -> None:
    @function("keyed", on="app/a", concurrency=[Concurrency(2, key="event.data.user"), Concurrency(5)])
    async def keyed(ctx: Context) -> None:
        await ctx.step.run("work", flow.meter.work, ctx.run_id, str(ctx.event.data["user"]))

    async with flow.two(keyed):
        await flow.send("app/a", *({"user": user} for user in "a" * 30 + "bcdefgh" * 4))
        runs = await flow.done(58)

    assert len(flow.outputs(runs)) == 58
    assert flow.meter.most.pop("") <= 5
    assert all(most <= 2 for most in flow.meter.most.values())
    assert len(flow.meter.most) == 8


async def test_one_users_backlog_does_not_hold_up_the_others(live_flow: Flow) -> None:
    flow = live_flow

    @function("fair", on="app/a", concurrency=[Concurrency(2), Concurrency(1, key="event.data.user")])
    async def fair(ctx: Context) -> None:
        await flow.meter.work(ctx.event.data["user"], pause=0.03)

    await flow.register(fair)
    await flow.send("app/a", *({"user": user} for user in "a" * 60 + "bcde"))
    async with flow.two(fair):
        await flow.done(64)

    # Long before the backlog is through; while one of the others is held up by the machine, it goes on alone.
    assert all(flow.meter.began.index(user) < 50 for user in "bcde"), flow.meter.began


async def test_a_shared_limit_counts_the_runs_of_all_functions_with_the_key(flow: Flow) -> None:
    def limited(id: str, *more: Concurrency) -> object:
        @function(id, on="app/a", concurrency=[*more, Concurrency(2, key="'openai'", scope="env")])
        async def handler(ctx: Context) -> str:
            await ctx.step.run("work", flow.meter.work, id)
            return id

        return handler

    one, other = limited("one"), limited("other", Concurrency(9, key="event.data.n"))
    async with flow.two(one, other):  # type: ignore[arg-type]
        await flow.send("app/a", *({"n": n} for n in range(20)))
        runs = await flow.done(40)

    assert sorted(flow.outputs(runs)) == ["one"] * 20 + ["other"] * 20
    assert flow.meter.most[""] == 2


async def test_functions_that_share_a_gate_under_different_limits_both_get_through(live_flow: Flow) -> None:
    flow = live_flow

    def limited(id: str, limit: int) -> object:
        @function(id, on="app/a", concurrency=Concurrency(limit, key="'k'", scope="env"))
        async def handler(ctx: Context) -> str:
            await flow.meter.work(id, id)
            return id

        return handler

    narrow, wide = limited("narrow", 1), limited("wide", 6)
    async with flow.two(narrow), flow.engine.working(wide):  # type: ignore[arg-type]
        await flow.send("app/a", *({} for _ in range(25)))
        runs = await flow.done(50)

    assert sorted(flow.outputs(runs)) == ["narrow"] * 25 + ["wide"] * 25
    assert (flow.meter.most["narrow"], flow.meter.most[""] <= 6) == (1, True)


async def test_a_sleeping_run_gives_its_place_away_and_takes_one_again(flow: Flow) -> None:
    @function("sleepy", on="app/a", concurrency=1)
    async def sleepy(ctx: Context) -> None:
        await ctx.step.run("before", flow.meter.work, "before")
        await ctx.step.sleep("nap", "1h")
        await ctx.step.run("after", flow.meter.work, "after")

    async with flow.two(sleepy):
        await flow.send("app/a", *({} for _ in range(5)))

        async def all_asleep() -> bool:
            return await flow.rows("select from cdc_state.runs where status = 'sleeping'") == [()] * 5

        await eventually(all_asleep)
        assert flow.meter.began == ["before"] * 5
        await flow.engine.hurry()
        await flow.done(5)

    assert flow.meter.began == ["before"] * 5 + ["after"] * 5
    assert flow.meter.most[""] == 1


async def test_a_place_is_freed_when_its_worker_dies(live_flow: Flow) -> None:
    flow = live_flow
    stuck = asyncio.Event()

    @function("stuck", on="app/a", concurrency=2)
    async def forever(ctx: Context) -> None:
        stuck.set()
        await asyncio.sleep(3600)

    @function("stuck", on="app/a", concurrency=2)
    async def works(ctx: Context) -> None:
        await flow.meter.work(ctx.run_id)

    async with flow.engine.doomed(forever):
        await flow.send("app/a", *({} for _ in range(6)))
        await stuck.wait()
    async with flow.engine.working(works):
        await flow.engine.end_leases("id = 1")
        await flow.done(6)
    assert len(flow.meter.began) == 6
    assert flow.meter.most[""] == 2


async def test_a_run_that_was_called_and_then_cancelled_takes_no_place_with_it(flow: Flow) -> None:
    """The one that was called is cancelled before any worker claims it: the next one must be called in its stead."""
    go = asyncio.Event()

    async def hold() -> None:
        await go.wait()

    @function("limited", on="app/a", concurrency=1, cancel_on=Cancel("app/cancel", match="data.n"))
    async def limited(ctx: Context) -> int:
        if ctx.event.data["n"] == 0:
            await ctx.step.run("hold", hold)
        return int(ctx.event.data["n"])

    async with flow.engine.working(limited, grace=0.1):
        await flow.send("app/a", {"n": 0}, {"n": 1}, {"n": 2})
        await eventually(lambda: _stands(flow, 2))
    # It left in order: its place is free, and the first of those who stood there was called.
    assert (await flow.standing())["concurrency"] == 1
    await flow.send("app/cancel", {"n": 1}, {"n": 0})
    assert (await flow.standing())["concurrency"] == 0
    async with flow.engine.working(limited):
        runs = await flow.done(3)
    assert flow.outputs(runs) == [2]


async def _stands(flow: Flow, count: int) -> bool:
    return (await flow.standing())["concurrency"] == count


async def test_a_cancelled_run_frees_its_place_once(flow: Flow) -> None:
    @function("limited", on="app/a", concurrency=2, cancel_on=Cancel("app/cancel", match="data.n"))
    async def limited(ctx: Context) -> None:
        await ctx.step.run("work", flow.meter.work, ctx.run_id, pause=0.02)
        await ctx.step.run("again", flow.meter.work, ctx.run_id, pause=0.02)

    async with flow.two(limited):
        for start in range(0, 40, 10):
            await flow.send("app/a", *({"n": n} for n in range(start, start + 10)))
            await flow.send("app/cancel", *({"n": n} for n in range(start, start + 10, 3)))
        runs = await flow.done(40)
    assert len(flow.outputs(runs)) >= 24
    assert {run["status"] for run in runs} <= {"completed", "cancelled"}


@pytest.mark.parametrize("after", ["raised", "removed", "moved to a throttle"])
async def test_runs_go_on_when_a_deploy_changes_the_limit_they_stand_at(live_flow: Flow, after: str) -> None:
    flow = live_flow
    stuck, go = asyncio.Event(), asyncio.Event()
    options = {
        "raised": {"concurrency": 4},
        "removed": {},
        "moved to a throttle": {"throttle": Throttle(1000, "1s", burst=1000)},
    }[after]

    @function("f", on="app/a", concurrency=1)
    async def old(ctx: Context) -> None:
        stuck.set()
        await go.wait()

    @function("f", on="app/a", **options)  # type: ignore[arg-type]
    async def new(ctx: Context) -> None:
        await flow.meter.work(ctx.run_id)

    async with flow.engine.working(old):
        await flow.send("app/a", *({} for _ in range(8)))
        await stuck.wait()
        await eventually(lambda: _stands(flow, 7))
        async with flow.engine.working(new):  # while the old one still works, and nothing ends
            await flow.done(7)
            go.set()
            await flow.done(8)


async def test_priority_decides_who_is_first_at_a_full_gate_and_in_the_queue(flow: Flow) -> None:
    @function("first", on="app/a", concurrency=1, priority="event.data.urgent ? 300 : 0")
    async def first(ctx: Context) -> None:
        flow.meter.began.append(ctx.event.data["n"])

    await flow.register(first)
    await flow.send("app/a", *({"n": n, "urgent": n in (3, 5)} for n in range(6)))
    # Of two workers each may have some of these in hand, and the one that comes first at the gate the later ones.
    async with flow.engine.working(first):
        await flow.done(6)
    assert flow.meter.began == [3, 5, 0, 1, 2, 4]


async def test_priority_orders_a_queue_without_limits(live_flow: Flow) -> None:
    flow = live_flow

    @function("first", on="app/a", priority="event.data.n")
    async def first(ctx: Context) -> None:
        flow.meter.began.append(ctx.event.data["n"])

    await flow.register(first)
    numbers = list(range(-300, 300, 25))
    random.shuffle(numbers)
    await flow.send("app/a", *({"n": n} for n in numbers))
    async with flow.engine.working(first):
        await flow.done(len(numbers))
    assert flow.meter.began == sorted(numbers, reverse=True)


async def test_runs_without_limits_do_not_starve_those_with(live_flow: Flow) -> None:
    """More plain runs than a worker can hold are always due; one with a place gets through all the same."""
    flow = live_flow
    begun, before = 0, asyncio.get_running_loop().create_future()

    @function("flood", on="app/flood")
    async def flood(ctx: Context) -> None:
        nonlocal begun
        begun += 1

    @function("limited", on="app/a", concurrency=1)
    async def limited(ctx: Context) -> None:
        before.set_result(begun)

    await flow.register(flood, limited)
    for _ in range(4):
        await flow.send("app/flood", *({} for _ in range(3000)))
    await flow.send("app/a", {})
    async with flow.engine.working(flood, limited):
        assert await before < 9000


async def test_order_by_keeps_the_order_of_each_key(flow: Flow) -> None:
    seen = defaultdict(list)

    @function("ordered", on="app/a", order_by="event.data.key", concurrency=4)
    async def ordered(ctx: Context) -> None:
        key = ctx.event.data["key"]
        await ctx.step.run("one", flow.meter.work, key, key, pause=random.random() / 100)
        seen[key].append(ctx.event.data["n"])
        await ctx.step.run("two", flow.meter.work, key, key, pause=random.random() / 100)

    async with flow.two(ordered):
        for n in range(0, 48, 4):
            await flow.send("app/a", *({"key": "abc"[each % 3], "n": each} for each in range(n, n + 4)))
        await flow.done(48)

    for key in "abc":
        numbers = list(dict.fromkeys(seen[key]))
        assert numbers == sorted(numbers)
        assert len(numbers) == 16
        assert flow.meter.most[key] == 1


async def test_a_retrying_or_sleeping_run_keeps_its_turn_and_a_failed_one_passes_it(flow: Flow) -> None:
    @function("ordered", on="app/a", order_by="event.data.key", retries=1)
    async def ordered(ctx: Context) -> None:
        n = ctx.event.data["n"]
        flow.meter.began.append(n)
        if n == 0:
            raise RetryAfter("twice", "1h")
        if n == 1:
            await ctx.step.sleep("nap", "1h")

    async with flow.two(ordered):
        await flow.send("app/a", *({"key": "k", "n": n} for n in range(3)), {"key": "other", "n": 9})
        await flow.done(1)  # of the other key
        await eventually(
            lambda: flow.rows("select from cdc_state.runs where failures = 1"), what="the first has failed"
        )
        assert {*flow.meter.began} == {0, 9}
        await flow.engine.hurry()
        await eventually(lambda: 1 in flow.meter.began)
        assert 2 not in flow.meter.began
        await eventually(lambda: flow.engine.ended(4, hurried=True))
    began = list(dict.fromkeys(flow.meter.began))
    began.remove(9)
    assert began == [0, 1, 2]


async def test_a_cancelled_run_passes_its_turn_whether_it_has_it_or_stands_for_it(flow: Flow) -> None:
    @function("ordered", on="app/a", order_by="event.data.key", cancel_on=Cancel("app/cancel", match="data.n"))
    async def ordered(ctx: Context) -> int:
        if ctx.event.data["n"] == 0:
            await ctx.step.sleep("nap", "1h")
        return int(ctx.event.data["n"])

    async with flow.two(ordered):
        await flow.send("app/a", *({"key": "k", "n": n} for n in range(4)))
        await eventually(lambda: flow.rows("select from cdc_state.runs where status = 'sleeping'"))
        await flow.send("app/cancel", {"n": 2})
        await flow.send("app/cancel", {"n": 0})
        runs = await flow.done(4)
    assert flow.outputs(runs) == [1, 3]


async def test_order_is_kept_across_the_death_of_a_worker(live_flow: Flow) -> None:
    flow = live_flow
    begun = asyncio.Event()

    @function("ordered", on="app/a", order_by="event.data.key")
    async def dies(ctx: Context) -> None:
        begun.set()
        await asyncio.sleep(3600)

    @function("ordered", on="app/a", order_by="event.data.key")
    async def ordered(ctx: Context) -> None:
        flow.meter.began.append(ctx.event.data["n"])

    async with flow.engine.doomed(dies, capacity=1):  # it takes nothing besides
        await flow.send("app/a", *({"key": "k", "n": n} for n in range(5)))
        await begun.wait()
    async with flow.two(ordered):
        await flow.send("app/a", {"key": "k", "n": 5})
        await flow.send("app/a", {"key": "other", "n": 99})
        await flow.done(1)
        assert flow.meter.began == [99]
        await flow.engine.end_leases("id = 1")
        await flow.done(7)
    assert flow.meter.began == [99, 0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("key", ["a\0b", "x" * 100_000, "\ud800", "", "/", "%", "ключ", None, 1.5, {"a": [1]}])
async def test_any_value_may_be_a_key(live_flow: Flow, key: object) -> None:
    flow = live_flow

    @function(
        "f",
        on="app/a",
        concurrency=Concurrency(1, key="event.data.key"),
        idempotency="event.data.key",
        order_by="event.data.key",
    )
    async def keyed(ctx: Context) -> None:
        await flow.meter.work(ctx.run_id)

    await flow.register(keyed)
    for _ in range(2):
        await flow.hands.take([Incoming(new_id(), "app/a", 0, json.dumps({"key": key}).encode(), None)])
    async with flow.engine.working(keyed):
        (run,) = await flow.done(1)
    assert run["status"] == "completed"


async def test_places_are_counted_right_whatever_happens(live_flow: Flow) -> None:
    """Random sends, sleeps, failures, cancellations, pauses, deaths: places taken are always those of placed runs."""
    flow = live_flow
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    @function(
        "f",
        on="app/a",
        retries=1,
        concurrency=[Concurrency(3), Concurrency(1, key="event.data.user")],
        throttle=Throttle(500, "1s", burst=20),
        cancel_on=Cancel("app/cancel", match="data.n"),
    )
    async def f(ctx: Context) -> None:
        data = ctx.event.data
        await ctx.step.run("one", flow.meter.work, ctx.run_id)
        if data["n"] % 5 == 0:
            await ctx.step.sleep("nap", "1h")
        if data["n"] % 7 == 0:
            raise RuntimeError("now and then")
        await ctx.step.run("two", flow.meter.work, ctx.run_id)

    async def trouble() -> None:
        for n in range(0, 120, 6):
            await flow.send("app/a", *({"user": chance.choice("abcd"), "n": each} for each in range(n, n + 6)))
            await flow.send("app/cancel", {"n": chance.randrange(n + 6)})
            act = chance.choice(["pause", "die", "nothing", "hurry"])
            if act == "pause":
                await flow.hands.pause("f")
                assert await flow.rows(MISCOUNTED) == []
                await flow.hands.resume("f")
            if act == "die":
                async with flow.engine.doomed(f):
                    await flow.send("app/a")
                await flow.engine.end_leases("id = (select max(id) from cdc_state.workers)")
            if act == "hurry":
                await flow.later(timedelta(hours=1).total_seconds())
            assert await flow.rows(MISCOUNTED) == []

    async with flow.two(f):
        await trouble()

        async def all_ended() -> bool:
            await flow.later(3600)
            await flow.engine.conn.execute("update cdc_state.steps set wake_at = now() where ended_at is null")
            assert await flow.rows(MISCOUNTED) == []
            return not await flow.standing()

        await eventually(all_ended, within=100)
    assert await flow.one("select count(*) from cdc_state.runs") == 120
    assert await flow.rows("select name from cdc_state.gates where name like 'concurrency/%' and taken <> 0") == []
