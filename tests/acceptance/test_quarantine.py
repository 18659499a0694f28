"""A function that kills its process is called no more after a few times; the runs beside it come to their end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.acceptance.authored import effects
from tests.acceptance.conftest import Write
from tests.acceptance.service import running
from tests.acceptance.state import USERS
from tests.servers import Connect
from tests.waiting import eventually

POISONED = """
    import asyncio, os, signal
    from pathlib import Path
    from cdc import Context, function

    HERE = Path(__file__).parent

    def note(what: str) -> str:
        with (HERE / "effects").open("a") as effects:
            effects.write(what + "\\n")
        return what

    def deaths() -> int:
        return len(list(HERE.glob("died-*")))

    # Two processes die while all runs are in flight, which makes suspects of all; after that each is executed alone.
    async def die() -> None:
        note("dies")
        before = deaths()
        while before < 2 and (HERE / "effects").read_text().count("waits") < {innocent} * (before + 1):
            await asyncio.sleep(0.01)
        (HERE / f"died-{{os.getpid()}}").touch()
        {death}

    async def outlive() -> None:
        note("waits")
        while deaths() < 2:
            await asyncio.sleep(0.01)

    @function("poison", on="db/poisons.inserted"{options})
    async def poison(ctx: Context) -> None:
        await ctx.step.run("die", die)

    @function("innocent", on="db/users.inserted"{options})
    async def innocent(ctx: Context) -> str:
        await ctx.step.run("first", note, "first")
        await ctx.step.run("outlive", outlive)
        return await ctx.step.run("last", note, "last")
"""

INNOCENT = 20


@pytest.mark.parametrize(
    ("death", "options"),
    [("os.kill(os.getpid(), signal.SIGKILL)", ""), ("os._exit(1)", ", concurrency=100")],
    ids=["killed", "exits, with places"],
)
async def test_a_poison_run_fails_with_its_reason_and_the_runs_beside_it_complete_once(
    connect: Connect, database_url: str, functions: Path, write: Write, death: str, options: str
) -> None:
    write("poisoned.py", POISONED.format(death=death, options=options, innocent=INNOCENT))
    conn = await connect(database_url)
    await conn.execute(USERS)
    await conn.execute("create table poisons (id bigint generated always as identity primary key)")
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions) as service:
        async with conn.transaction():
            await conn.execute("insert into users (name) select 'user ' || n from generate_series(1, %s) n", [INNOCENT])
            await conn.execute("insert into poisons default values")
            await conn.execute("insert into poisons default values")

        async def all_ended() -> list[tuple[str, str, str | None]]:
            cursor = await conn.execute(
                "select function_id, status, error ->> 'message' from cdc_state.runs where ended_at is not null"
            )
            found = await cursor.fetchall()
            return found if len(found) == INNOCENT + 2 else []

        ended = Counter(await eventually(all_ended, within=90, what="all runs have ended"))
        assert service.logged("worker process died")

    reason = "quarantined: worker processes died again and again while they executed this run"
    assert ended == {("poison", "failed", reason): 2, ("innocent", "completed", None): INNOCENT}
    noted = Counter(effects(functions))
    assert noted["first"] == INNOCENT
    assert noted["last"] == INNOCENT
    assert 3 <= noted["dies"] <= 6
