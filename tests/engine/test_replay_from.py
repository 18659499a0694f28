"""A run is replayed from a step: what had ended before that stays done, and what is edited reaches the code."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from cdc import Context, Event, StepError, function
from cdc.engine.inference import Models
from cdc.events import bulk
from cdc.events.bulk import Rest
from cdc.events.hands import Hands
from cdc.events.repeating import Edits
from cdc.store import looking
from cdc.store.choice import Choice
from tests.ai_server import AIServer
from tests.engine.harness import Engine
from tests.engine.test_ai import MODEL, models, provider
from tests.waiting import eventually

__all__ = ["models", "provider"]

USER = "db/users.inserted"


async def replayed(engine: Engine, edits: Edits, ended: int = 2) -> dict[str, Any]:
    """The run that replays the first one, when it has ended, with its steps by their ids."""
    old = (await engine.runs())[0]["id"]
    repeated = await Hands(engine.conn).replay_from(old, edits)
    assert repeated.skipped == {}
    engine.wake()
    await engine.ended(ended)
    run = await looking.run(engine.conn, repeated.runs[old])
    assert run is not None
    assert run["replays"] == old
    return {**run, "steps": {step["id"]: step for step in run["steps"]}}


async def test_no_step_that_had_ended_before_runs_again_and_all_others_do(engine: Engine) -> None:
    calls: Counter[str] = Counter()
    broken = True

    async def work(name: str) -> str:
        calls[name] += 1
        if name == "three" and broken:
            raise RuntimeError("broken")
        return f"{name} {calls[name]}"

    @function("chain", on=USER, retries=0)
    async def chain(ctx: Context) -> Any:
        one = await ctx.step.run("item", work, "one")
        await ctx.step.sleep("nap", 0.001)
        answer = await ctx.step.wait_for_event("answer", "app/never", 0.001)
        two, beside = await asyncio.gather(
            ctx.step.run("item", work, "two"), ctx.step.invoke("call", "child", {"n": 1})
        )
        return [
            one,
            answer,
            two,
            beside,
            await ctx.step.run("three", work, "three"),
            await ctx.step.run("four", work, "four"),
        ]

    @function("child", on="app/never.sent")
    async def child(ctx: Context) -> int:
        return int(ctx.event.data["n"])

    async with engine.working(chain, child):
        await engine.send(USER, {})
        await engine.ended(2)
        broken = False
        run = await replayed(engine, Edits("three"), ended=3)
    assert calls == {"one": 1, "two": 1, "three": 2, "four": 1}
    assert run["output"] == ["one 1", None, "two 1", 1, "three 2", "four 1"]
    copied = {key for key, step in run["steps"].items() if step["copied"]}
    assert copied == {"item", "nap", "answer", "item:1", "call"}
    assert run["steps"]["three"]["attempts"][0]["attempt"] == 1


@dataclass
class Order:
    id: int
    total: float


async def test_an_edited_input_reaches_the_function_of_the_step_as_what_it_takes(engine: Engine) -> None:
    seen: list[tuple[Any, ...]] = []

    async def price(order: Order, client: object, *, factor: int) -> float:
        seen.append((order, client, factor))
        if len(seen) == 2:
            raise RuntimeError("tried again with the same input")
        return order.total * factor

    client = object()

    @function("order", on=USER, retries=1)
    async def order(ctx: Context) -> float:
        return await ctx.step.run("price", price, Order(1, 2.0), client, factor=3)

    async with engine.working(order):
        await engine.send(USER, {})
        await engine.ended()
        before = await looking.run(engine.conn, (await engine.runs())[0]["id"])
        assert before is not None
        given = before["steps"][0]["input"]
        assert given == {"args": [{"id": 1, "total": 2.0}, "<object>"], "factor": 3}
        given["args"][0]["total"] = 5.0
        repeating = asyncio.create_task(replayed(engine, Edits("price", input=given)))
        await eventually(lambda: len(seen) == 2)
        await eventually(lambda: hurried(engine, repeating))
        run = await repeating
    assert seen == [(Order(1, 2.0), client, 3), *[(Order(1, 5.0), client, 3)] * 2]
    assert run["output"] == 15.0
    assert (run["steps"]["price"]["input"], run["steps"]["price"]["edited"]) == (given, True)
    assert len(run["steps"]["price"]["attempts"]) == 2


async def test_events_data_and_invocations_are_edited_alike(engine: Engine) -> None:
    heard: list[Any] = []

    @function("parent", on=USER)
    async def parent(ctx: Context) -> Any:
        await ctx.step.send_event("tell", Event("app/told", {"n": 1}))
        return await ctx.step.invoke("call", "child", {"n": ctx.event.data["new"]["n"]})

    @function("child", on="app/told")
    async def child(ctx: Context) -> Any:
        heard.append(ctx.event.data["n"])
        return ctx.event.data["n"]

    edits = [
        Edits("tell", input=[{"name": "app/told", "data": {"n": 10}}]),
        Edits("call", input={"n": 20}),
        Edits("call", data={"new": {"n": 30}}),
    ]
    async with engine.working(parent, child):
        await engine.send(USER, {"n": 2})
        await engine.ended(3)
        outputs = [
            (await replayed(engine, edit, ended=number))["output"]
            for edit, number in zip(edits, (6, 8, 10), strict=True)
        ]
    assert outputs == [2, 20, 30]
    assert sorted(heard) == [1, 2, 2, 10, 20, 30]


async def test_edited_data_is_an_event_of_its_own_that_starts_and_wakes_nothing_else(live_engine: Engine) -> None:
    seen: list[Any] = []

    @function("greet", on=USER)
    async def greet(ctx: Context) -> None:
        seen.append((ctx.event.id, ctx.event.data))

    @function("waits", on="db/others.inserted")
    async def waits(ctx: Context) -> None:
        await ctx.step.wait_for_event("next", USER, "1h")

    async with live_engine.working(greet, waits):
        (event_id,) = await live_engine.send(USER, {"n": 1})
        await live_engine.ended()
        await live_engine.send("db/others.inserted", {})
        await eventually(lambda: waiting(live_engine))
        run = await replayed(live_engine, Edits(data={"n": 2}))
        assert await waiting(live_engine)
    assert [data for _, data in seen][1] == {"n": 2}
    assert seen[0][0] != seen[1][0]
    copy = await looking.event(live_engine.conn, run["event_ids"][0])
    assert copy is not None
    assert copy["edited_from"].replace("-", "") == event_id


async def test_a_model_is_asked_what_was_edited(engine: Engine, models: Models, provider: AIServer) -> None:
    @function("say", on=USER)
    async def say(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model=MODEL, prompt="a rose is")

    engine.models = models
    async with engine.working(say):
        await engine.send(USER, {})
        await engine.ended()
        before = await looking.run(engine.conn, (await engine.runs())[0]["id"])
        assert before is not None
        given = json.loads(json.dumps(before["steps"][0]["input"]).replace("a rose is", "a tulip is"))
        run = await replayed(engine, Edits("say", input=given))
    assert run["status"] == "completed"
    assert ["a tulip is" in json.dumps(asked.body) for asked in provider.questions] == [False, True]
    assert run["steps"]["say"]["input"] == given


async def test_what_cannot_be_edited_is_refused_with_its_reason(live_engine: Engine) -> None:
    @function("chain", on=USER)
    async def chain(ctx: Context) -> None:
        await ctx.step.run("plain", asyncio.sleep, 0)
        await ctx.step.run("nothing", dict)
        await ctx.step.sleep("nap", 0.001)

    async with live_engine.working(chain):
        await live_engine.send(USER, {})
        (run,) = await live_engine.ended()
    hands = Hands(live_engine.conn)

    async def reason(edits: Edits) -> str:
        return (await hands.replay_from(run["id"], edits)).skipped[run["id"]]

    assert "no step 'other'" in await reason(Edits("other"))
    assert "'nap' is a sleep" in await reason(Edits("nap", input={}))
    assert "no input is known" in await reason(Edits("nothing", input={"args": [1]}))
    with pytest.raises(ValueError, match="which one"):
        Edits(input={})
    assert len(await live_engine.runs()) == 1


@pytest.mark.parametrize("input", [[1], {"args": 1}, {"seconds": 1}], ids=str)
async def test_an_input_that_does_not_fit_fails_its_step_and_says_why(live_engine: Engine, input: Any) -> None:
    async def wait(delay: float) -> None:
        await asyncio.sleep(delay)

    @function("chain", on=USER, retries=0)
    async def chain(ctx: Context) -> str:
        try:
            await ctx.step.run("wait", wait, 0)
        except StepError as error:
            return error.message
        return ""

    async with live_engine.working(chain):
        await live_engine.send(USER, {})
        await live_engine.ended()
        run = await replayed(live_engine, Edits("wait", input=input))
    assert "edited input must be" in run["output"] or "argument" in run["output"]


async def test_a_choice_is_replayed_and_cancelled_in_goes_each_run_once(live_engine: Engine) -> None:
    @function("fails", on=USER, retries=0)
    async def fails(ctx: Context) -> None:
        if "n" not in ctx.event.data["new"]:
            await ctx.step.sleep("nap", "1h")
        raise RuntimeError

    hands = Hands(live_engine.conn)
    async with live_engine.working(fails):
        await live_engine.send(USER, *({"n": number} for number in range(7)))
        await live_engine.ended(7)
        rest: Rest | None = None
        goes: list[tuple[int, int]] = []
        while not goes or rest:
            done = await bulk.replay(hands, Choice(), rest and Rest.read(rest.text()), most=3)
            goes.append((done.runs, done.changed))
            rest = done.rest
        live_engine.wake()
        assert len(await live_engine.ended(14)) == 14
        await live_engine.send(USER, {}, {})
        await eventually(lambda: asleep(live_engine, 2))
        done = await bulk.cancel(hands, Choice(functions=["fails"]), "by hand", most=bulk.MOST)
    assert goes == [(7, 3), (4, 3), (1, 1)]
    assert done == bulk.Done(2, 2, 2, None)
    assert await bulk.cancel(hands, Choice(statuses=["failed"]), "by hand", most=bulk.MOST) == bulk.Done(0, 0, 0, None)


async def waiting(engine: Engine) -> bool:
    cursor = await engine.conn.execute("select from cdc_state.waits")
    rows = await cursor.fetchall()
    return len(rows) == 1


async def asleep(engine: Engine, count: int) -> bool:
    return [run["status"] for run in await engine.runs()].count("sleeping") == count


async def hurried(engine: Engine, until: asyncio.Task[Any]) -> bool:
    await engine.hurry()
    done: bool = until.done()
    return done
