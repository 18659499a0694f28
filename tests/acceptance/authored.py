"""Function files as a user writes them.

WELCOME   greets each user in two steps, with a short sleep between them
PATIENT   stays where a test wants it: asleep, in a step, or in a step that blocks its thread. It notes each step's body
          in the file `effects` beside it, and waits in its last step until there is a file `open`.
"""

from __future__ import annotations

from pathlib import Path

WELCOME = """
    from cdc import Context, function

    @function("welcome", on="db/users.inserted")
    async def welcome(ctx: Context) -> dict[str, object]:
        name = ctx.event.data["new"]["name"]
        greeting = await ctx.step.run("greet", greet, name)
        await ctx.step.sleep("wait-before-tips", "100ms")
        tips = await ctx.step.run("tips", tips_for, name)
        return {"said": [greeting, tips], "event": ctx.event.name}

    def greet(name: str) -> str:
        print('{"ready": 4711}')
        return f"Hello, {name}!"

    async def tips_for(name: str) -> str:
        return f"{name}, read the docs."
"""

PATIENT = """
    import asyncio, time
    from pathlib import Path
    from cdc import Context, function

    HERE = Path(__file__).parent

    def note(what: str) -> str:
        with (HERE / "effects").open("a") as effects:
            effects.write(what + "\\n")
        return what

    async def gate() -> str:
        note("second")
        while not (HERE / "open").exists():
            await asyncio.sleep(0.01)
        return "second"

    def block() -> None:
        note("blocks")
        time.sleep(3600)

    @function("patient", on="db/users.inserted")
    async def patient(ctx: Context) -> list[str]:
        first = await ctx.step.run("first", note, "first")
        match ctx.event.data["new"]["name"]:
            case "sleeper":
                await ctx.step.sleep("long", "1h")
            case "blocker":
                await ctx.step.run("block", block)
        return [first, await ctx.step.run("second", gate)]
"""


def effects(functions: Path) -> list[str]:
    file = functions / "effects"
    return file.read_text().split() if file.exists() else []


def let_go(functions: Path) -> None:
    """Let the last step end."""
    (functions / "open").touch()
