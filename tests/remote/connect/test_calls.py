"""Calls that go over the connections of workers, and what becomes of them when workers do not behave."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from cdc.remote.answer import Returned, Threw, Unreached
from cdc.remote.connect import messages
from cdc.remote.connect.asked import Asked
from cdc.remote.connect.messages import Kind
from tests.remote.connect.conftest import PATIENT, Reach
from tests.remote.connect.scripted import Scripted, reply
from tests.waiting import eventually


async def test_a_call_without_a_worker_did_not_reach_the_app(reach: Reach) -> None:
    assert isinstance(await reach.call("shop", "pay"), Unreached)


async def test_calls_go_to_the_worker_with_the_fewest(reach: Reach) -> None:
    async with Scripted(reach) as one, Scripted(reach) as other:
        calls = [asyncio.create_task(reach.call("shop", "pay")) for _ in range(4)]
        taken = [(each, await each.take()) for each in (one, other, one, other)]
        for each, asked in taken:
            await each.answer(asked)
        assert await asyncio.gather(*calls) == [Returned("done")] * 4


async def test_a_worker_is_asked_no_more_than_it_takes(reach: Reach) -> None:
    async with Scripted(reach, most=1) as worker:
        calls = [asyncio.create_task(reach.call("shop", "pay")) for _ in range(3)]
        for _ in calls:
            # What it hears next is that its answer came, not another call.
            await worker.answer(await worker.take())
        assert await asyncio.gather(*calls) == [Returned("done")] * 3


async def test_a_call_that_is_not_taken_goes_to_another_worker(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    is_taken, within = Asked.is_taken, iter([0.5, 60.0])
    monkeypatch.setattr(Asked, "is_taken", lambda asked, _: is_taken(asked, next(within)))
    async with Scripted(reach) as deaf, Scripted(reach) as other:
        call = asyncio.create_task(reach.call("shop", "pay"))
        heard = [asyncio.create_task(each.hear(Kind.EXECUTOR_REQUEST)) for each in (deaf, other)]
        first, second = await asyncio.gather(*heard)
        assert first.request_id == second.request_id
        # Both have it now; whoever answers first is believed.
        await other.say(Kind.REPLY, reply(second))
        assert await call == Returned("done")


@pytest.mark.parametrize("times", [replace(PATIENT, taken=0.5)])
async def test_a_call_that_nobody_takes_did_not_reach_the_app(reach: Reach) -> None:
    async with Scripted(reach) as deaf:
        call = asyncio.create_task(reach.call("shop", "pay"))
        await deaf.hear(Kind.EXECUTOR_REQUEST)
        assert isinstance(await call, Unreached)


async def test_a_call_that_was_not_taken_when_the_connection_ended_goes_on_at_once(reach: Reach) -> None:
    async with Scripted(reach) as one, Scripted(reach) as other:
        call = asyncio.create_task(reach.call("shop", "pay"))
        hearing = {asyncio.create_task(each.hear(Kind.EXECUTOR_REQUEST)): each for each in (one, other)}
        (heard,), (hears,) = await asyncio.wait(hearing, return_when=asyncio.FIRST_COMPLETED)
        await hearing[heard].socket.close()
        # Long before the first one would have had to take it.
        await hearing[hears].answer(await hears)
        assert await call == Returned("done")


@pytest.mark.parametrize("times", [replace(PATIENT, lease=1.0)])
async def test_a_worker_that_took_a_call_and_vanished_failed_it_when_its_lease_ran_out(reach: Reach) -> None:
    async with Scripted(reach) as worker:
        call = asyncio.create_task(reach.call("shop", "pay"))
        await worker.take()
    answer = await call
    assert isinstance(answer, Threw)
    assert answer.error["name"] == "WorkerLost"
    assert not answer.no_retry


async def test_an_answer_may_come_over_the_next_connection_of_a_worker(reach: Reach) -> None:
    async with Scripted(reach) as worker:
        call = asyncio.create_task(reach.call("shop", "pay"))
        asked = await worker.take()
    async with Scripted(reach) as again:
        await again.say(Kind.EXTEND_LEASE, messages.ExtendLease(request_id=asked.request_id, lease_id=asked.lease_id))
        assert (await again.hear(Kind.EXTEND_LEASE_ACK)).new_lease_id
        await again.answer(asked)
    assert await call == Returned("done")


async def test_an_answer_may_come_over_http(reach: Reach) -> None:
    async with Scripted(reach) as worker:
        call = asyncio.create_task(reach.call("shop", "pay"))
        asked = await worker.take()
        await worker.socket.close()
        assert await worker.flush(reply(asked)) == 200
        assert await call == Returned("done")
        # Nobody waits for it any more; the worker has no need to know.
        assert await worker.flush(reply(asked)) == 200


async def test_a_worker_hears_that_nobody_waits_for_its_answer_any_more(reach: Reach) -> None:
    async with Scripted(reach) as worker:
        call = asyncio.create_task(reach.call("shop", "pay"))
        asked = await worker.take()
        call.cancel()
        await asyncio.wait({call})
        await worker.say(Kind.EXTEND_LEASE, messages.ExtendLease(request_id=asked.request_id, lease_id=asked.lease_id))
        assert not (await worker.hear(Kind.EXTEND_LEASE_ACK)).new_lease_id
        await worker.answer(asked)


async def test_a_worker_of_another_app_cannot_answer(reach: Reach) -> None:
    async with Scripted(reach) as worker, Scripted(reach, "other") as stranger:
        call = asyncio.create_task(reach.call("shop", "pay"))
        asked = await worker.take()
        await stranger.answer(asked, "forged")
        await worker.answer(asked)
        assert await call == Returned("done")


async def test_a_worker_takes_calls_from_when_it_says_so_until_it_pauses(reach: Reach) -> None:
    async with Scripted(reach, "shop", "stock", waits=True) as worker:
        assert not reach.connections.connected("shop")
        await worker.say(Kind.WORKER_READY)
        await eventually(lambda: reach.connections.connected("shop") and reach.connections.connected("stock"))
        call = asyncio.create_task(reach.call("stock", "count"))
        asked = await worker.take()
        await worker.say(Kind.WORKER_PAUSE)
        await eventually(lambda: not reach.connections.connected("shop"))
        assert isinstance(await reach.call("shop", "pay"), Unreached)
        await worker.answer(asked)
        assert await call == Returned("done")
