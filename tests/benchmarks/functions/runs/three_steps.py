"""Three steps in a row, each with a small result."""

from cdc import Context, function


async def add(number: int) -> dict[str, int]:
    return {"number": number + 1}


@function("three-steps", on="measured/three-steps")
async def three_steps(ctx: Context) -> dict[str, int]:
    first = await ctx.step.run("first", add, ctx.event.data["new"]["number"])
    second = await ctx.step.run("second", add, first["number"])
    return await ctx.step.run("third", add, second["number"])
