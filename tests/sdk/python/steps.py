"""Steps that do something, and what becomes of errors."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import inngest

from tests.sdk.python.sdk import APP, client, id_of, note, noted, on
from tests.waiting import eventually

_tried: Counter[str] = Counter()


@on("steps")
async def numbers(ctx: inngest.Context) -> dict[str, Any]:
    async def first() -> int:
        note(id_of(ctx), "one")
        return 1

    async def plus_one(number: int) -> int:
        return number + 1

    async def given(value: Any) -> Any:
        return value

    one = await ctx.step.run("one", first)
    two = await ctx.step.run("two", plus_one, one)
    same = [await ctx.step.run("same", given, turn) for turn in range(3)]
    value = {"data": {"error": {"list": [1, [2, {"three": 3}]]}}, "text": "ä \u2603 €"}
    nested = await ctx.step.run("nested", given, value)
    nothing = await ctx.step.run("nothing", given, None)
    seen = {"attempt": ctx.attempt, "run": ctx.run_id, "event": ctx.event.name, "given": dict(ctx.event.data)}
    return {"two": two, "same": same, "nested": nested, "nothing": nothing, **seen}


@on("parallel")
async def parallel(ctx: inngest.Context) -> dict[str, Any]:
    mine = id_of(ctx)
    first = await ctx.group.parallel(
        (
            lambda: ctx.step.run("a", noted, mine, "a"),
            lambda: ctx.step.run("b", noted, mine, "b"),
            lambda: ctx.step.run("first", noted, mine, "first"),
            lambda: ctx.step.sleep("pause", 1000),
        )
    )
    second = await ctx.step.run("second", noted, mine, f"after {first[2]}")
    after = await ctx.step.run("after", noted, mine, "joined")
    return {"all": [first[0], first[1], second], "after": after}


@on("race")
async def race(ctx: inngest.Context) -> dict[str, Any]:
    """The group is left when all have ended; in this mode each of them goes on as soon as it can."""
    mine = id_of(ctx)

    async def quick() -> str:
        await ctx.step.run("quick", noted, mine, "quick")
        return await ctx.step.run("after", noted, mine, "after")

    async def slow() -> str:
        await ctx.step.sleep("pause", 1000)
        return await ctx.step.run("slow", noted, mine, "slow")

    after, _ = await ctx.group.parallel((quick, slow), inngest.ParallelMode.RACE)
    return {"won": "quick", "after": after}


async def tell(ctx: inngest.Context) -> None:
    data: Any = ctx.event.data
    said = f"{data['error']['message']} of {data['function_id']} by {data['event']['name']}"
    await ctx.step.run("tell", noted, data["event"]["data"]["id"], said)


@on("fails", on_failure=tell)
async def fails(ctx: inngest.Context) -> None:
    raise TypeError("nothing to be done")


@on("retries", retries=2)
async def retries(ctx: inngest.Context) -> dict[str, Any]:
    mine = id_of(ctx)

    async def step() -> str:
        note(mine, "step")
        _tried[mine] += 1
        if _tried[mine] == 1:
            raise inngest.RetryAfterError("not yet", 1000)
        return "done"

    done = await ctx.step.run("step", step)
    note(mine, f"attempt {ctx.attempt}")
    if ctx.attempt == 0:
        raise inngest.RetryAfterError("nor yet", 1000)
    return {"step": done, "attempt": ctx.attempt}


@on("refuses", retries=4)
async def refuses(ctx: inngest.Context) -> None:
    async def never() -> None:
        note(id_of(ctx), "tried")
        raise inngest.NonRetriableError("not ever")

    await ctx.step.run("never", never)


@on("catches")
async def catches(ctx: inngest.Context) -> dict[str, str]:
    async def fails() -> None:
        note(id_of(ctx), "tried")
        raise IndexError("out of it")

    caught = "nothing"
    try:
        await ctx.step.run("fails", fails)
    except inngest.StepError as error:
        caught = error.message

    async def after() -> str:
        return "goes on"

    return {"caught": caught, "after": await ctx.step.run("after", after)}


@on("large")
async def large(ctx: inngest.Context) -> dict[str, int]:
    async def page() -> str:
        return "x" * 1_000_000

    steps: Any = ctx.event.data["steps"]
    pages = [await ctx.step.run(f"page {turn}", page) for turn in range(steps)]
    await ctx.step.sleep("replayed from here", 1000)
    return {"length": sum(len(each) for each in pages)}


@on("sends")
async def sends(ctx: inngest.Context) -> dict[str, int]:
    def event(number: int) -> inngest.Event:
        return inngest.Event(name=f"{APP}/receives", data={"id": id_of(ctx), "number": number})

    sent = await ctx.step.send_event("send", [event(1), event(2)])
    await client.send(event(3))
    return {"sent": len(sent)}


@on("receives")
async def receives(ctx: inngest.Context) -> str:
    return note(id_of(ctx), f"received {ctx.event.data['number']}")


@on("patient", retries=4)
async def patient(ctx: inngest.Context) -> str:
    """Stays in its second step until there is the file that GATE names."""
    mine = id_of(ctx)

    async def gate() -> None:
        note(mine, "gate")
        await eventually(Path(os.environ.get("GATE", "/")).exists, within=100)

    await ctx.step.run("first", noted, mine, "first")
    await ctx.step.run("gate", gate)
    return await ctx.step.run("second", noted, mine, "second")


STEPS = [patient, numbers, parallel, race, fails, retries, refuses, catches, large, sends, receives]
