"""Flow control: what the service is told in the function's options, and does before a function is called."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import inngest

from tests.sdk.python.sdk import APP, client, id_of, note, noted, on
from tests.waiting import eventually

KEY = "event.data.id"
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@on("debounced", debounce=inngest.Debounce(period=SECOND, key=KEY))
async def debounced(ctx: inngest.Context) -> None:
    note(id_of(ctx), f"debounced {ctx.event.data['number']}")


@on("batched", batch_events=inngest.Batch(max_size=3, timeout=timedelta(seconds=30), key=KEY))
async def batched(ctx: inngest.Context) -> None:
    note(id_of(ctx), "batch of " + ",".join(str(event.data["number"]) for event in ctx.events))


@on("single", singleton=inngest.Singleton(mode="skip", key=KEY))
async def single(ctx: inngest.Context) -> None:
    await ctx.step.run("single", noted, id_of(ctx), "single")
    await ctx.step.wait_for_event(
        "while others come", event=f"{APP}/answer", if_exp="async.data.id == event.data.id", timeout=HOUR
    )


@on("once", idempotency=KEY)
async def once(ctx: inngest.Context) -> None:
    note(id_of(ctx), "once")


@on("rated", rate_limit=inngest.RateLimit(limit=1, period=HOUR, key=KEY))
async def rated(ctx: inngest.Context) -> None:
    note(id_of(ctx), "rated")


@on("throttled", throttle=inngest.Throttle(limit=1, period=SECOND, key=KEY))
async def throttled(ctx: inngest.Context) -> None:
    note(id_of(ctx), "throttled")


@on("limited", concurrency=[inngest.Concurrency(limit=1, key=KEY)])
async def limited(ctx: inngest.Context) -> None:
    async def place() -> None:
        note(id_of(ctx), "in")
        await asyncio.sleep(0.05)
        note(id_of(ctx), "out")

    await ctx.step.run("place", place)


@on(
    "prioritised",
    priority=inngest.Priority(run="event.data.urgent ? 600 : 0"),
    concurrency=[inngest.Concurrency(limit=1, key=KEY)],
)
async def prioritised(ctx: inngest.Context) -> str:
    async def turn() -> str:
        if until := ctx.event.data.get("until"):
            await eventually(Path(str(until)).exists, within=60)
        return note(id_of(ctx), str(ctx.event.data["name"]))

    return await ctx.step.run("turn", turn)


@client.create_function(
    fn_id="filtered",
    trigger=inngest.TriggerEvent(event=f"{APP}/filtered", expression="event.data.number > 1"),
    retries=0,
)
async def filtered(ctx: inngest.Context) -> None:
    note(id_of(ctx), f"filtered {ctx.event.data['number']}")


@client.create_function(fn_id="yearly", trigger=inngest.TriggerCron(cron="TZ=Europe/Berlin 0 3 1 1 *"), retries=0)
async def yearly(ctx: inngest.Context) -> None:
    note("yearly", ctx.event.name)


FLOW = [debounced, batched, single, once, rated, throttled, limited, prioritised, filtered, yearly]
