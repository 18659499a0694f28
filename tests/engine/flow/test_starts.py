"""What is decided when an event is accepted: limits on starts, batches, debounce, singletons, ids, times, triggers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from itertools import pairwise

import pytest

from cdc import (
    Batch,
    Cancel,
    Concurrency,
    Context,
    Debounce,
    Event,
    EventTrigger,
    Function,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
    function,
)
from cdc.authoring.function import FlowControl
from cdc.engine import admission
from cdc.events.hands import Hands
from cdc.store import gates
from cdc.store.gates import Gate
from tests.engine.flow.flow import Flow
from tests.servers import Connect, Connection
from tests.waiting import eventually

NOTE_STARTS = """
    create table starts (id uuid, at timestamptz not null, next_at timestamptz not null);
    create function note_start() returns trigger language plpgsql as $$
    begin
        insert into starts select new.id, clock_timestamp(), free_at from cdc_state.gates where name like 'throttle/%';
        return null;
    end $$;
    create trigger note_start after update on cdc_state.runs
        for each row when (old.started_at is null and new.started_at is not null) execute function note_start();
"""
"""When each run started, and when the gate lets the next one in: a claim that is late after its gate is late alone."""


def collects(*on: str | EventTrigger, id: str = "f", **flow: object) -> Function:
    """A function that returns what its events have as `n`."""
    options: FlowControl = {**flow}  # type: ignore[typeddict-item]

    @function(id, on=on or "app/a", **options)
    async def handler(ctx: Context) -> list[object]:
        return [event.data.get("n") for event in ctx.events]

    return handler


async def senders(flow: Flow, connect: Connect, count: int) -> list[Flow]:
    """Several who send at the same time, each over a connection of its own."""
    return [Flow(flow.engine, Hands(await connect(flow.engine.url))) for _ in range(count)]


async def outputs(flow: Flow, f: Function, count: int) -> list[object]:
    """What the runs return, once there are as many and all have ended."""
    async with flow.two(f):
        return flow.outputs(await flow.done(count))


async def test_a_rate_limit_drops_what_is_over_it_and_counts_anew_in_the_next_period(
    live_flow: Flow, connect: Connect
) -> None:
    flow, f = live_flow, collects(rate_limit=RateLimit(3, "1h", key="event.data.user"))
    await flow.register(f)
    many = await senders(flow, connect, 4)
    await asyncio.gather(*(each.send("app/a", *({"user": user} for user in "aab")) for each in many))
    assert Counter(await flow.rows("select gates.name, taken from cdc_state.gates where name like 'rate/%'")) == {
        ("rate/f/a", 3): 1,
        ("rate/f/b", 3): 1,
    }
    assert await flow.one("select count(*) from cdc_state.runs") == 6
    await flow.later(3600)
    await flow.send("app/a", {"user": "a"})
    assert len(await outputs(flow, f, 7)) == 7
    assert await flow.one("select count(*) from cdc_state.events where name = 'app/a'") == 13


async def test_an_idempotency_key_starts_one_run_in_24_hours_whoever_sends(live_flow: Flow, connect: Connect) -> None:
    flow, f = live_flow, collects(idempotency="event.data.order")
    await flow.register(f)
    many = await senders(flow, connect, 4)
    await asyncio.gather(*(each.send("app/a", {"order": 1}, {"order": 2}, {"order": 1}) for each in many))
    assert await flow.one("select count(*) from cdc_state.runs") == 2
    await flow.later(23 * 3600)
    await flow.send("app/a", {"order": 1})
    assert await flow.one("select count(*) from cdc_state.runs") == 2
    await flow.later(3600)
    await flow.send("app/a", {"order": 1})
    assert len(await outputs(flow, f, 3)) == 3


async def test_an_id_that_the_sender_gives_counts_once_in_24_hours(live_flow: Flow, connect: Connect) -> None:
    flow, f = live_flow, collects()
    await flow.register(f)
    many = await senders(flow, connect, 4)
    await asyncio.gather(*(each.send("app/a", {"n": 1}, id="order-1") for each in many))
    await flow.send("app/a", {"n": 2}, id="x" * 5000)
    await flow.send("app/a", {"n": 2}, id="x" * 5000)
    assert await flow.one("select count(*) from cdc_state.runs") == 2
    await flow.later(24 * 3600)
    await flow.send("app/a", {"n": 3}, id="order-1")
    assert sorted(await outputs(flow, f, 3)) == [[1], [2], [3]]  # type: ignore[type-var]


async def test_debounce_runs_once_with_the_last_event_of_each_key(flow: Flow) -> None:
    f = collects(debounce=Debounce("10m", key="event.data.key", timeout="30m"))
    async with flow.two(f):
        for n in range(3):
            await flow.send("app/a", {"key": "a", "n": n}, {"key": "b", "n": 10 + n})
            await flow.later(9 * 60)
        assert await flow.standing() == {"queue": 2}
        await flow.later(2 * 60)
        runs = await flow.done(2)
        assert sorted(flow.outputs(runs)) == [[2], [12]]
        await flow.send("app/a", {"key": "a", "n": 3})
        await flow.later(10 * 60)
        assert [3] in flow.outputs(await flow.done(3))


async def test_a_debounced_run_comes_at_its_timeout_however_many_events_come(flow: Flow) -> None:
    f = collects(debounce=Debounce("10m", timeout="30m"))
    async with flow.two(f):
        for n in range(4):
            await flow.send("app/a", {"n": n})
            await flow.later(9 * 60)
        await flow.send("app/a", {"n": 4})
        runs = await flow.done(1)
    assert flow.outputs(runs)[0] in ([3], [4])


async def test_no_last_event_is_lost_when_a_debounced_run_is_claimed_meanwhile(live_flow: Flow) -> None:
    flow, f = live_flow, collects(debounce=Debounce("0.1s"))
    async with flow.two(f):
        for n in range(60):
            await flow.send("app/a", {"n": n})
            await flow.later(0.09)
        await flow.later(1)

        async def last() -> bool:
            return [59] in [run["output"] for run in await flow.engine.runs()]

        await eventually(last)

        async def nobody_stands() -> bool:
            return not await flow.standing()

        await eventually(nobody_stands)  # who was claimed with the one before may end later


async def test_a_debounced_run_is_what_its_last_event_makes_of_it(live_flow: Flow) -> None:
    flow = live_flow
    f = collects(
        debounce=Debounce("1h"),
        concurrency=Concurrency(1, key="event.data.n"),
        cancel_on=Cancel("app/cancel", match="data.n"),
    )
    async with flow.two(f):
        await flow.send("app/a", {"n": 1})
        await flow.send("app/a", {"n": 2})
        await flow.send("app/cancel", {"n": 1})
        assert await flow.one("select gates[1] from cdc_state.runs") == "concurrency/0/f/2"
        assert await flow.standing() == {"queue": 1}
        await flow.send("app/cancel", {"n": 2})
        (run,) = await flow.done(1)
    assert run["status"] == "cancelled"


async def test_a_singleton_or_an_idempotency_key_does_not_stop_a_debounce(live_flow: Flow) -> None:
    flow = live_flow
    f = collects(debounce=Debounce("1h"), singleton=Singleton("skip"), idempotency="event.data.n")
    async with flow.two(f):
        for n in (1, 2, 1):
            await flow.send("app/a", {"n": n})
        await flow.later(3600)
        assert flow.outputs(await flow.done(1)) == [[2]]


@pytest.mark.parametrize("size", [2, 5])
async def test_a_batch_is_due_at_exactly_its_size_and_loses_no_event(
    live_flow: Flow, connect: Connect, size: int
) -> None:
    flow, f = live_flow, collects(batch_events=Batch(size, timeout="1h", key="event.data.key"))
    await flow.register(f)
    many = await senders(flow, connect, 4)
    events = [{"key": "ab"[n % 2], "n": n} for n in range(40)]
    await asyncio.gather(*(each.send("app/a", *events[i * 10 : i * 10 + 10]) for i, each in enumerate(many)))
    found = await outputs(flow, f, 40 // size)
    assert sorted(n for batch in found for n in batch) == list(range(40))  # type: ignore[attr-defined]
    assert {len(batch) for batch in found} == {size}  # type: ignore[arg-type]
    assert all(len({n % 2 for n in batch}) == 1 for batch in found)  # type: ignore[attr-defined]


async def test_a_batch_that_is_not_full_comes_at_its_timeout(flow: Flow) -> None:
    f = collects(batch_events=Batch(10, timeout="1h", if_exp="event.data.n < 100"))
    async with flow.two(f):
        await flow.send("app/a", {"n": 1})
        await flow.send("app/a", {"n": 2}, {"n": 500})
        assert flow.outputs(await flow.done(1)) == [[500]]
        await flow.later(3600)
        runs = await flow.done(2)
    assert sorted(flow.outputs(runs)) == [[1, 2], [500]]


async def test_batches_claimed_while_events_come_lose_none(live_flow: Flow, connect: Connect) -> None:
    flow, f = live_flow, collects(batch_events=Batch(7, key="event.data.key"), concurrency=2)
    many = await senders(flow, connect, 3)

    async def send(each: Flow, first: int) -> None:
        for n in range(first, first + 60, 3):
            await each.send("app/a", *({"key": "ab"[m % 2], "n": m} for m in range(n, n + 3)))

    async with flow.two(f):
        await asyncio.gather(*(send(each, i * 60) for i, each in enumerate(many)))

        async def all_in() -> bool:
            flow.engine.wake()
            return not await flow.standing()

        await eventually(all_in, within=60)
        runs = await flow.engine.runs()
    assert sorted(n for batch in flow.outputs(runs) for n in batch) == list(range(180))
    assert max(len(batch) for batch in flow.outputs(runs)) <= 7


async def test_a_simple_batch_gathers_what_comes_together_and_what_comes_while_it_has_no_place(live_flow: Flow) -> None:
    flow = live_flow
    simple, limited = collects(batch_events=Batch(4)), collects(id="g", batch_events=Batch(4), concurrency=1)
    await flow.register(simple, limited)
    await flow.send("app/a", *({"n": n} for n in range(6)))
    await flow.send("app/a", *({"n": n} for n in range(6, 8)))
    async with flow.two(simple, limited):
        runs = await flow.done(5)
    found = {name: sorted(run["output"] for run in runs if run["function"] == name) for name in "fg"}
    assert found == {"f": [[0, 1, 2, 3], [4, 5], [6, 7]], "g": [[0, 1, 2, 3], [4, 5, 6, 7]]}


async def test_an_invoked_run_joins_no_batch_and_no_debounce(flow: Flow) -> None:
    batched = collects(batch_events=Batch(10, timeout="1h"))
    debounced = collects(id="g", debounce=Debounce("1h"))

    @function("caller", on="app/call")
    async def caller(ctx: Context) -> list[object]:
        return [await ctx.step.invoke(each, function=each, data={"n": each}) for each in "fg"]

    async with flow.two(batched, debounced, caller):
        await flow.send("app/a", {"n": 1})
        await flow.send("app/call", {})
        runs = await flow.done(3)
    assert [run["output"] for run in runs if run["function"] == "caller"] == [[["f"], ["g"]]]


async def test_a_throttle_spreads_starts_and_lets_each_key_burst(live_flow: Flow) -> None:
    flow, f = live_flow, collects(throttle=Throttle(6, "1h", burst=2, key="event.data.key"))
    async with flow.engine.working(f):  # two might let in others than the first
        await flow.send("app/a", *({"key": key, "n": n} for n in range(5) for key in "ab"))
        assert Counter(n for (n,) in flow.outputs(await flow.done(4))) == {0: 2, 1: 2}
        for ended in (6, 8, 10):
            await eventually(lambda: _one_is_booked_each(flow))
            await flow.later(590)
            await eventually(lambda: _one_is_booked_each(flow))
            await flow.later(15)
            await flow.done(ended)
        runs = await flow.engine.runs()
    assert Counter(n for (n,) in flow.outputs(runs)) == dict.fromkeys(range(5), 2)


async def _one_is_booked_each(flow: Flow) -> bool:
    standing = await flow.standing()
    return standing["queue"] == 2 or not standing


@pytest.mark.parametrize("workers", [1, 2])
async def test_throttled_runs_start_in_their_order_while_claims_are_late(
    live_flow: Flow, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    flow = live_flow
    if workers == 1:  # after so long a booked run is taken for lost, and another one called before it
        monkeypatch.setattr(admission, "_LATE", 600.0)

    f = collects(throttle=Throttle(40, "1s"), concurrency=3)
    await flow.register(f)
    await flow.engine.conn.execute(NOTE_STARTS)
    await flow.send("app/a", *({"n": n} for n in range(25)))
    async with flow.two(f) if workers == 2 else flow.engine.working(f):
        await flow.done(25)
    rows = await flow.rows(
        "select r.output -> 0, extract(epoch from s.at)::float8, extract(epoch from s.next_at)::float8"
        " from starts s join cdc_state.runs r using (id) order by s.next_at"
    )
    order = [n for n, _, _ in rows]
    # One worker may hold a run while another lets in the next.
    assert (order if workers == 1 else sorted(order)) == list(range(25))
    for (_, _, sooner), (_, at, later) in pairwise(rows):
        assert at > sooner - 0.002, "it came when it was let in"
        assert later - sooner > 0.023, "after one that was late, none comes early"


async def test_who_a_throttle_lets_in_starts_then_and_not_when_it_was_first_looked_at(
    live_flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow, f, lock = live_flow, collects(throttle=Throttle(1, "1s")), gates.lock

    async def late(conn: Connection, names: Collection[str]) -> dict[str, Gate]:
        if names:
            await asyncio.sleep(1.2)
        return await lock(conn, names)

    async with flow.engine.working(f):
        await flow.send("app/a", {"n": 1})
        await flow.done(1)
        monkeypatch.setattr(gates, "lock", late)
        await flow.send("app/a", {"n": 2})
        await flow.done(2)
    assert await flow.one("select (max(started_at) - min(started_at) >= '1 s') from cdc_state.runs")


async def test_the_booked_one_that_is_cancelled_is_replaced(live_flow: Flow) -> None:
    flow, f = live_flow, collects(throttle=Throttle(1, "1h"), cancel_on=Cancel("app/cancel", match="data.n"))
    async with flow.engine.working(f):  # two might book another than the second
        await flow.send("app/a", *({"n": n} for n in range(4)))
        await flow.done(1)
        await eventually(lambda: _stand(flow, 2))
        await flow.send("app/cancel", {"n": 1})
        await eventually(lambda: _stand(flow, 1))
        await flow.later(3601)
        assert sorted(flow.outputs(await flow.done(3))) == [[0], [2]]
        await flow.later(3601)
        assert sorted(flow.outputs(await flow.done(4))) == [[0], [2], [3]]


async def _stand(flow: Flow, count: int) -> bool:
    return (await flow.standing())["throttle"] == count


async def test_a_retried_run_is_not_throttled_again(flow: Flow) -> None:
    @function("f", on="app/a", throttle=Throttle(1, "1h"), retries=2)
    async def f(ctx: Context) -> int:
        if ctx.attempt < 3:
            raise RuntimeError("again")
        return ctx.attempt

    async with flow.two(f):
        await flow.send("app/a", {})
        assert [run["output"] for run in await flow.engine.ended(hurried=True)] == [3]


async def test_a_singleton_skips_while_one_is_there_and_never_after(live_flow: Flow, connect: Connect) -> None:
    flow, gate = live_flow, asyncio.Event()

    @function("f", on="app/a", singleton=Singleton("skip", key="event.data.key"))
    async def f(ctx: Context) -> object:
        await gate.wait()
        return ctx.event.data["n"]

    many = await senders(flow, connect, 4)
    async with flow.two(f):
        await asyncio.gather(*(each.send("app/a", *({"key": key, "n": 1} for key in "ab")) for each in many))
        assert await flow.one("select count(*) from cdc_state.runs") == 2
        gate.set()
        await flow.done(2)
        await flow.send("app/a", {"key": "a", "n": 2})
        assert sorted(flow.outputs(await flow.done(3))) == [1, 1, 2]


async def test_a_singleton_cancels_the_older_run_and_the_last_one_completes(live_flow: Flow, connect: Connect) -> None:
    flow = live_flow

    @function("f", on="app/a", singleton=Singleton("cancel", key="event.data.key"))
    async def f(ctx: Context) -> object:
        await ctx.step.run("work", flow.meter.work, ctx.run_id, pause=0.05)
        return ctx.event.data["n"]

    many = await senders(flow, connect, 4)
    async with flow.two(f):
        for n in range(5):
            await asyncio.gather(*(each.send("app/a", {"key": "a", "n": n}, {"key": "b", "n": n}) for each in many))
        runs = await flow.done(40)
    last = max(run["id"] for run in runs)
    assert [run["status"] for run in runs if run["id"] == last] == ["completed"]
    assert await flow.one("select count(*) from cdc_state.runs where ended_at is null") == 0
    assert sum(run["status"] == "completed" for run in runs) >= 2


async def test_a_limit_that_refuses_does_not_cancel_the_singleton(live_flow: Flow) -> None:
    flow = live_flow
    f = collects(singleton=Singleton("cancel"), rate_limit=RateLimit(1, "1h"))
    await flow.register(f)
    await flow.send("app/a", {"n": 1}, {"n": 2})
    assert await outputs(flow, f, 1) == [[1]]


async def test_cancel_on_compares_in_time_and_only_what_is_unfinished(flow: Flow) -> None:
    @function(
        "f",
        on="app/a",
        cancel_on=[
            Cancel("app/stop", if_exp="async.data.n >= event.data.n", timeout="1h"),
            Cancel("app/cancel", match="data.n"),
        ],
    )
    async def f(ctx: Context) -> int:
        await ctx.step.sleep("nap", "2h")
        return int(ctx.event.data["n"])

    async with flow.two(f):
        await flow.send("app/a", *({"n": n} for n in range(5)))
        await flow.send("app/stop", {"n": 1})
        await flow.send("app/cancel", {"n": 3})
        await flow.engine.conn.execute("update cdc_state.waits set expires_at = expires_at - interval '1 hour'")
        await flow.send("app/stop", {"n": 4})
        await eventually(lambda: flow.engine.ended(5, hurried=True))
        runs = await flow.engine.runs()
    assert sorted(flow.outputs(runs)) == [2, 4]
    assert {run["error"]["name"] for run in runs if run["status"] == "cancelled"} == {"RunCancelled"}


async def test_an_event_with_a_time_in_the_future_starts_its_runs_then(flow: Flow) -> None:
    plain, limited = collects(), collects(id="g", concurrency=1, timeouts=Timeouts(start="5m"))
    async with flow.two(plain, limited):
        await flow.send("app/a", {"n": 1}, in_seconds=3600)
        await flow.send("app/a", {"n": 2}, in_seconds=-3600)
        assert sorted(flow.outputs(await flow.done(2))) == [[2], [2]]
        assert await flow.one(
            "select min(deadline) > now() + interval '1 hour' from cdc_state.runs where ended_at is null"
        )
        await flow.later(3600)
        assert sorted(flow.outputs(await flow.done(4))) == [[1], [1], [2], [2]]


async def test_triggers_by_name_pattern_and_condition_start_a_function_once(live_flow: Flow) -> None:
    flow = live_flow
    f = collects(
        "app/user.created",
        "app/user.*",
        EventTrigger("app/order", if_exp="event.data.total > 100"),
        EventTrigger("app/order", match={"data.vip": True}),
        concurrency=2,
    )
    await flow.register(f)
    for name, data in (
        ("app/user.created", {"n": 1}),
        ("app/user.gone", {"n": 2}),
        ("app/users", {"n": 3}),
        ("app/order", {"n": 4, "total": 101, "vip": True}),
        ("app/order", {"n": 5, "total": 100}),
        ("app/order", {"n": 6, "vip": True}),
        ("app/order", {"n": 7, "total": "many"}),
    ):
        await flow.send(name, data)
    assert sorted(await outputs(flow, f, 4)) == [[1], [2], [4], [6]]  # type: ignore[type-var]


async def test_events_that_steps_send_pass_the_same_flow_control(flow: Flow) -> None:
    @function("sends", on="app/call")
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("tell", [Event("app/a", {"n": n}) for n in (1, 2, 3)])

    f = collects(rate_limit=RateLimit(2, "1h"))
    async with flow.two(sends, f):
        await flow.send("app/call", {})
        runs = await flow.done(3)
    assert sorted(run["output"] for run in runs if run["function"] == "f") == [[1], [2]]
