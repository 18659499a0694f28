"""Functions that give the pages something to show."""

from __future__ import annotations

TABLES = """
    create table users (id bigint generated always as identity primary key, name text, email text);
    alter table users replica identity full;
    create table documents (id bigint generated always as identity primary key, title text, body text);
"""

SHOWN = """
    from pathlib import Path
    from cdc import Context, RetryAfter, function

    HERE = Path(__file__).parent

    @function("welcome", on="db/users.inserted")
    async def welcome(ctx: Context) -> dict[str, object]:
        name = ctx.event.data["new"]["name"]
        ctx.logger.info("a user came", user=ctx.event.data["new"]["id"])
        greeting = await ctx.step.run("greet", greet, name)
        await ctx.step.sleep("a-moment", "100ms")
        await ctx.step.run("flaky", flaky)
        said = await ctx.step.ai.infer("summary", model="openai/gpt-4o-mini", prompt=greeting)
        return {"said": said}

    def greet(name: str) -> str:
        return f"Hello, {name}!"

    def flaky() -> str:
        seen = HERE / "seen"
        if not seen.exists():
            seen.touch()
            raise RetryAfter("not yet", 0.2)
        return "done"

    @function("renamed", on="db/users.updated")
    async def renamed(ctx: Context) -> None: ...

    @function("approve", on="app/order.made")
    async def approve(ctx: Context) -> object:
        return await ctx.step.wait_for_event("approval", event="app/order.approved", timeout="1h")

    @function("broken", on="app/broken", retries=0)
    async def broken(ctx: Context) -> None:
        raise ValueError("this <b>cannot</b> be")
"""
