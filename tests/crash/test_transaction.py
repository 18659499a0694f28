"""step.transaction in the real service, killed around its commit: the rows of its body are there exactly once."""

from __future__ import annotations

from pathlib import Path
from signal import SIGKILL
from textwrap import dedent

import pytest

from tests.acceptance.service import Settings, started
from tests.crash.ledger import ROWS, Ledger
from tests.servers import Connect

FUNCTION = """
    from cdc import Context, function

    @function("copies", on="db/rows.inserted")
    async def copies(ctx: Context) -> None:
        number = ctx.event.data["new"]["id"]

        async def copy(conn):
            await conn.execute("insert into public.copied values (%s)", [number])

        await ctx.step.transaction("copy", copy)
"""


@pytest.mark.parametrize("point", ["transaction.before_commit", "transaction.committed"])
async def test_its_rows_are_there_exactly_once(migrated_url: str, connect: Connect, tmp_path: Path, point: str) -> None:
    ledger = Ledger(await connect(migrated_url))
    await ledger.connection.execute(ROWS)
    await ledger.connection.execute("create table copied (number bigint)")
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "copies.py").write_text(dedent(FUNCTION))
    settings: Settings = {"DATABASE_URL": migrated_url, "CDC_FUNCTIONS": tmp_path / "functions"}
    fault: Settings = {"CDC_FAULT": f"{point}:3", "CDC_FAULT_ONCE": tmp_path / "struck"}
    async with started(**settings, **fault) as service:
        await service.logs("api")
        await ledger.insert(20)
        (died,) = await service.logs("worker process died")
        assert died["exit_code"] == -SIGKILL
        await ledger.everything_is_done(20, within=90)
    numbers = [number for (number,) in await ledger.rows("select number from copied order by number")]
    assert numbers == list(range(1, 21))
