"""What a run tells its logger is kept with it, each line once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cdc import Context, function
from tests.engine.harness import Engine
from tests.engine.telling import tell, waits_of
from tests.waiting import eventually


async def lines(engine: Engine) -> list[tuple[str, str, dict[str, Any]]]:
    cursor = await engine.conn.execute("select level, line, fields from cdc_state.logs order by number")
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def number(value: int) -> int:
    return value


async def test_lines_are_kept_once_in_order_with_levels_and_fields(engine: Engine) -> None:
    async def body(ctx: Context) -> None:
        ctx.logger.debug("in the body")

    @function("tells", on="db/users.inserted")
    async def tells(ctx: Context) -> None:
        ctx.logger.info("begin", user=7)
        await ctx.step.run("a", number, 1)
        log = ctx.logger.bind(part="middle")
        log.warning("after a")
        await ctx.step.sleep("s", 0.01)
        log.error("after the sleep", nested={"x": [1, None]})
        await ctx.step.run("b", body, ctx)
        await ctx.step.wait_for_event("w", "app/x", "1h")
        ctx.logger.info("end %s", "really")

    async with engine.working(tells):
        await engine.send("db/users.inserted", {})
        await eventually(lambda: waits_of(engine))
        await tell(engine, "app/x", {})
        await engine.ended()

    assert await lines(engine) == [
        ("info", "begin", {"user": 7}),
        ("warning", "after a", {"part": "middle"}),
        ("error", "after the sleep", {"part": "middle", "nested": {"x": [1, None]}}),
        ("debug", "in the body", {}),
        ("info", "end really", {}),
    ]


async def test_lines_before_a_failed_attempt_are_kept_once_and_each_attempt_tells_its_own(engine: Engine) -> None:
    attempts = 0

    async def flaky(ctx: Context) -> None:
        nonlocal attempts
        attempts += 1
        ctx.logger.info("attempt", number=attempts)
        if attempts < 3:
            raise ConnectionError("not yet")

    @function("tells", on="db/users.inserted")
    async def tells(ctx: Context) -> None:
        ctx.logger.info("begin")
        await ctx.step.run("flaky", flaky, ctx)
        ctx.logger.info("end")

    async with engine.working(tells):
        await engine.send("db/users.inserted", {})
        await engine.ended(hurried=True)

    assert [(line, fields) for _, line, fields in await lines(engine)] == [
        ("begin", {}),
        *(("attempt", {"number": attempt}) for attempt in (1, 2, 3)),
        ("end", {}),
    ]


async def test_lines_of_branches_are_kept_once(engine: Engine) -> None:
    @function("tells", on="db/users.inserted")
    async def tells(ctx: Context) -> None:
        async def branch(item: int) -> None:
            ctx.logger.info(f"before {item}")
            await ctx.step.run(f"a-{item}", number, item)
            await ctx.step.sleep(f"s-{item}", item * 0.01)
            ctx.logger.info(f"after {item}")

        ctx.logger.info("begin")
        await asyncio.gather(*(branch(item) for item in range(3)))
        ctx.logger.info("end")

    async with engine.working(tells):
        await engine.send("db/users.inserted", {})
        await engine.ended()

    told = [line for _, line, _ in await lines(engine)]
    assert sorted(told) == sorted(
        ["begin", "end", *(f"{when} {item}" for item in range(3) for when in ("before", "after"))]
    )
    assert (told[0], told[-1]) == ("begin", "end")


class Odd:
    def __str__(self) -> str:
        raise ValueError("no text")


async def test_odd_values_harm_nothing(engine: Engine) -> None:
    @function("tells", on="db/users.inserted")
    async def tells(ctx: Context) -> None:
        ctx.logger.info("nul \0 and half \ud800", nul="\0", half="\ud800", big=2**80, nan=float("nan"))
        ctx.logger.info("no text", odd=Odd())
        ctx.logger.info("an object", of=object, error=ValueError("x"), both={1: {2}})
        ctx.logger.info("long " + "x" * 100_000, long="y" * 100_000)
        try:
            raise KeyError("k")
        except KeyError:
            ctx.logger.exception("with a stack")

    async with engine.working(tells):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended()

    assert run["status"] == "completed", run["error"]
    nul, no_text, an_object, long, stack = await lines(engine)
    assert nul[1] == "nul \\0 and half ?"
    assert nul[2] == {"nul": "\0", "half": "\ud800", "big": 2**80}
    assert no_text[1:] == ("no text", {})
    assert an_object[2]["error"] == "x"
    assert (len(long[1]), long[2]) == (8000, {})
    assert stack[0] == "error"


async def test_the_services_own_log_has_no_row_data_that_the_author_did_not_tell(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fails(secret: str) -> None:
        raise ValueError(f"cannot work with {secret}")

    @function("tells", on="db/users.inserted", retries=1)
    async def tells(ctx: Context) -> None:
        ctx.logger.info("told by the author")
        await ctx.step.run("fails", fails, ctx.event.data["new"]["secret"])

    async with engine.working(tells):
        await engine.send("db/users.inserted", {"secret": "swordfish"})
        await engine.ended(hurried=True)

    out = "".join(capsys.readouterr())
    assert "told by the author" in out
    assert "run failed" in out
    assert "swordfish" not in out
