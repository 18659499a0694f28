"""Inferences in the real service, whose worker is killed while models are asked: every answer reaches its run once.

What a model may be asked again is exactly what had not been recorded when the process died:

    inference.claimed    nothing: no model had been asked
    inference.answered   the calls that were under way: their answers were in memory only
    inference.recorded   the calls that were under way; none of those in the batch, whose answers were durable
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from signal import SIGKILL
from textwrap import dedent

import pytest

from tests.acceptance.service import Settings, started
from tests.ai_server import AIServer
from tests.crash.ledger import ROWS, Ledger
from tests.servers import Connect
from tests.waiting import eventually

FUNCTION = """
    from cdc import Context, function

    @function("asks", on="db/rows.inserted")
    async def asks(ctx: Context) -> str:
        return await ctx.step.ai.infer("say", model="openai/gpt-4o", prompt=str(ctx.event.data["new"]["id"]))
"""
COUNT = 20


@pytest.fixture
async def ledger(migrated_url: str, connect: Connect) -> Ledger:
    ledger = Ledger(await connect(migrated_url))
    await ledger.connection.execute(ROWS)
    return ledger


def settings(url: str, folder: Path, provider: AIServer) -> Settings:
    (folder / "functions").mkdir()
    (folder / "functions" / "asks.py").write_text(dedent(FUNCTION))
    return {
        "DATABASE_URL": url,
        "CDC_FUNCTIONS": folder / "functions",
        "OPENAI_BASE_URL": provider.url,
        "OPENAI_API_KEY": "key",
    }


async def all_is_well(ledger: Ledger, provider: AIServer) -> Counter[str]:
    """Each run has its own answer, once; how often each was asked."""
    await ledger.everything_is_done(COUNT, within=60)
    outputs = await ledger.rows("select output from cdc_state.runs")
    assert Counter(output for (output,) in outputs) == {f"You said: {number}": 1 for number in range(1, COUNT + 1)}
    assert await ledger.rows("select * from cdc_state.inferences") == []
    kept = await ledger.rows("select run_id, count(*) from cdc_state.ai_calls where error is null group by 1")
    assert [count for _, count in kept] == [1] * COUNT
    return Counter(asked.body["messages"][-1]["content"] for asked in provider.questions)


@pytest.mark.parametrize("point", ["inference.claimed", "inference.answered", "inference.recorded"])
async def test_every_run_has_its_answer(ledger: Ledger, migrated_url: str, tmp_path: Path, point: str) -> None:
    async with AIServer() as provider:
        service_settings = settings(migrated_url, tmp_path, provider)
        fault: Settings = {"CDC_FAULT": point, "CDC_FAULT_ONCE": tmp_path / "struck"}
        async with started(**service_settings, **fault) as service:
            await service.logs("api")
            await ledger.insert(COUNT)
            (died,) = await service.logs("worker process died")
            assert died["exit_code"] == -SIGKILL
            asked = await all_is_well(ledger, provider)
    assert asked.keys() == {str(number) for number in range(1, COUNT + 1)}
    assert set(asked.values()) <= {1, 2}
    if point == "inference.claimed":
        assert set(asked.values()) == {1}


async def test_calls_under_way_are_made_again_by_the_next_worker(
    ledger: Ledger, migrated_url: str, tmp_path: Path
) -> None:
    async with AIServer(latency=60) as provider, started(**settings(migrated_url, tmp_path, provider)) as service:
        await service.logs("api")
        await ledger.insert(COUNT)
        await eventually(lambda: provider.busy == COUNT, within=60)
        ((pid,),) = await ledger.rows("select pid from cdc_state.workers")
        provider.latency = 0
        os.kill(pid, SIGKILL)
        await service.logs("worker process died")
        asked = await all_is_well(ledger, provider)
    assert set(asked.values()) == {2}
