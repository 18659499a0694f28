"""Steps that the service does: sleeping, waiting, invoking, asking models."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import inngest
from inngest.experimental.ai import anthropic, gemini, openai

from tests.sdk.python.sdk import APP, id_of, note, noted, on

PROVIDER = os.environ.get("PROVIDER", "")


@on("sleeps")
async def sleeps(ctx: inngest.Context) -> str:
    async def until() -> str:
        return (datetime.now(UTC) + timedelta(seconds=1)).isoformat()

    note(id_of(ctx), "before")
    await ctx.step.sleep("a while", timedelta(seconds=1))
    await ctx.step.sleep_until("a date", datetime.fromisoformat(await ctx.step.run("until", until)))
    return await ctx.step.run("after", noted, id_of(ctx), "after")


@on("waits")
async def waits(ctx: inngest.Context) -> dict[str, Any]:
    answer = await ctx.step.wait_for_event(
        "answer", event=f"{APP}/answer", if_exp="async.data.id == event.data.id", timeout=timedelta(hours=1)
    )
    none = await ctx.step.wait_for_event(
        "none", event=f"{APP}/answer", if_exp="async.data.id == 'nobody'", timeout=timedelta(seconds=1)
    )
    return {"answer": answer and answer.data, "none": none}


@on("cancels", cancel=[inngest.Cancel(event=f"{APP}/cancel", if_exp="async.data.id == event.data.id")])
async def cancels(ctx: inngest.Context) -> None:
    note(id_of(ctx), "began")
    await ctx.step.sleep("long", timedelta(hours=1))
    note(id_of(ctx), "went on")


@on("doubles")
async def doubles(ctx: inngest.Context) -> float:
    number = ctx.event.data.get("number")
    if not isinstance(number, int | float):
        raise ValueError("no number")

    async def double() -> float:
        return number * 2

    return await ctx.step.run("double", double)


@on("invokes")
async def invokes(ctx: inngest.Context) -> dict[str, Any]:
    native = str(ctx.event.data["native"])
    here = await ctx.step.invoke("here", function=doubles, data={"number": 4})
    there = await ctx.step.invoke_by_id("there", app_id=native, function_id="triples", data={"number": 4})
    errors = []
    for function in ("doubles", "nobody"):
        try:
            await ctx.step.invoke_by_id(f"fails {function}", function_id=function, data={})
        except inngest.StepError as error:
            errors.append(error.message)
    return {"here": here, "there": there, "errors": errors}


@on("infers")
async def infers(ctx: inngest.Context) -> list[Any]:
    key, messages = "sk-of-the-test", [{"role": "user", "content": "What is 2 + 2?"}]
    chat: Any = await ctx.step.ai.infer(
        "openai",
        adapter=openai.Adapter(auth_key=key, model="gpt-4o", base_url=f"{PROVIDER}/v1"),
        body={"messages": messages},
    )
    claude: Any = await ctx.step.ai.infer(
        "anthropic",
        adapter=anthropic.Adapter(auth_key=key, model="claude-sonnet-4-5", base_url=f"{PROVIDER}/v1"),
        body={"messages": messages, "max_tokens": 100},
    )
    content: Any = await ctx.step.ai.infer(
        "gemini",
        adapter=gemini.Adapter(auth_key=key, model="gemini-2.5-flash", base_url=f"{PROVIDER}/v1beta"),
        body={"contents": [{"role": "user", "parts": [{"text": "What is 2 + 2?"}]}]},
    )
    return [
        chat["choices"][0]["message"]["content"],
        claude["content"][0]["text"],
        content["candidates"][0]["content"]["parts"][0]["text"],
    ]


WAITS = [sleeps, waits, cancels, doubles, invokes, infers]
