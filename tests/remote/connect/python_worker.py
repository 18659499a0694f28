"""A worker of the Python SDK, app `py`, for the service that its environment names. Says `up` when it is."""

from __future__ import annotations

import asyncio

import inngest
from inngest.connect import ConnectionState, connect

client = inngest.Inngest(app_id="py")


@client.create_function(fn_id="greet", trigger=inngest.TriggerEvent(event="py/greet"), retries=0)
async def greet(ctx: inngest.Context) -> str:
    return f"Hello, {ctx.event.data['who']}"


@client.create_function(
    fn_id="stepped",
    trigger=[inngest.TriggerEvent(event="py/stepped"), inngest.TriggerEvent(event="db/visitors.inserted")],
)
async def stepped(ctx: inngest.Context) -> str:
    async def one() -> str:
        return "one"

    return await ctx.step.run("a", one)


@client.create_function(fn_id="broken", trigger=inngest.TriggerEvent(event="py/broken"))
async def broken(ctx: inngest.Context) -> None:
    raise inngest.NonRetriableError("never")


@client.create_function(fn_id="slow", trigger=inngest.TriggerEvent(event="py/slow"))
async def slow(ctx: inngest.Context) -> str:
    await asyncio.sleep(2.2)
    return "at last"


async def main() -> None:
    made = connect([(client, [greet, stepped, broken, slow])])
    running = asyncio.create_task(made.start())
    await made.wait_for_state(ConnectionState.ACTIVE)
    print("up", flush=True)
    await running


asyncio.run(main())
