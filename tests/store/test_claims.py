"""Claiming: each due run to one worker, the oldest first, and to none without a lease."""

from __future__ import annotations

import asyncio
from uuid import UUID

from cdc.store import runs, workers
from tests.store.state import State

GREET = ["greet"]


async def due_since(state: State, seconds: int, run_ids: list[str]) -> None:
    due = """
        update cdc_state.runs r set due_at = t.at, rank = t.at from (select now() - make_interval(secs => %s) as at) t
         where id = any (%s::uuid[]) returning 1"""
    await state.rows(due, seconds, run_ids)


async def test_claims_at_the_same_time_never_overlap(any_state: State) -> None:
    state = any_state
    queued = await state.queue(300)
    worker_ids = [await state.worker("greet") for _ in range(4)]

    async def claim_all(worker_id: int) -> list[tuple[str, int]]:
        connection = await state.connect(state.url)
        mine = []
        while claimed := await runs.claim(connection, worker_id, GREET, 7):
            assert len(claimed) <= 7
            mine += [(run.id, worker_id) for run in claimed]
        return mine

    shares = await asyncio.gather(*map(claim_all, worker_ids))
    claimed = [pair for share in shares for pair in share]
    # A claim that finds the rest locked goes away empty-handed, so a few may be left.
    left = await runs.claim(state.connection, worker_ids[0], GREET, 300)
    claimed += [(run.id, worker_ids[0]) for run in left]
    assert sorted(id_ for id_, _ in claimed) == queued
    assert await state.statuses() == {id_: ("running", worker_id) for id_, worker_id in claimed}


async def test_a_claim_skips_what_another_is_claiming_and_does_not_wait(any_state: State) -> None:
    state = any_state
    await state.queue(5)
    one, other = await state.worker("greet"), await state.worker("greet")
    connection = await state.connect(state.url)
    async with connection.transaction(force_rollback=True):
        first = await runs.claim(connection, one, GREET, 3)
        async with asyncio.timeout(60):
            second = await runs.claim(state.connection, other, GREET, 5)
        assert (len(first), len(second)) == (3, 2)
        assert {run.id for run in first} & {run.id for run in second} == set()
    assert {run.id for run in await runs.claim(state.connection, other, GREET, 5)} == {run.id for run in first}


async def test_those_due_longest_are_claimed_first_and_those_not_due_not_at_all(any_state: State) -> None:
    state = any_state
    worker = await state.worker("greet")
    queued = await state.queue(6)
    # The index would give them in order by itself.
    await state.connection.execute("set enable_indexscan = off; set enable_bitmapscan = off")
    async with state.connection.transaction():  # in which it is always the same time
        for seconds, run_id in zip((30, 10, 50, 20, -3600, 40), queued, strict=True):
            await due_since(state, seconds, [run_id])
    in_turn = [{run.id for run in await runs.claim(state.connection, worker, GREET, limit)} for limit in (1, 2, 2, 2)]
    assert in_turn == [{queued[2]}, {queued[5], queued[0]}, {queued[3], queued[1]}, set()]
    assert 3000 < (await runs.next_due(state.connection, GREET) or 0) <= 3600


async def test_only_functions_asked_for_are_claimed(state: State) -> None:
    worker = await state.worker("greet", "bill")
    await state.queue(2, "greet")
    await state.queue(1, "bill")
    await state.queue(1, "unknown")
    assert {run.function_id for run in await runs.claim(state.connection, worker, ["bill"], 10)} == {"bill"}
    assert len(await runs.claim(state.connection, worker, ["greet", "bill"], 10)) == 2
    assert await runs.next_due(state.connection, ["greet", "bill"]) is None


async def test_each_claim_is_counted_and_the_first_one_is_the_start(state: State) -> None:
    (run_id,) = await state.queue(1)
    starts = set()
    for claims in (1, 2, 3):
        worker = await state.worker("greet")
        (run,) = await runs.claim(state.connection, worker, GREET, 1)
        assert (run.id, run.claims, run.failures, run.event_ids) == (run_id, claims, 0, [str(UUID(int=0))])
        starts.add(await state.one("select started_at from cdc_state.runs"))
        await workers.leave(state.connection, [worker])
    assert len(starts) == 1


async def test_without_a_lease_nothing_is_claimed(any_state: State) -> None:
    state = any_state
    await state.queue(1)
    worker = await state.worker("greet")
    await workers.leave(state.connection, [worker])
    assert await runs.claim(state.connection, worker, GREET, 1) == []
    assert await runs.claim(state.connection, worker + 1, GREET, 1) == []


async def test_a_claim_waits_for_a_lease_that_is_being_ended_and_then_has_nothing(any_state: State) -> None:
    state = any_state
    queued = await state.queue(1)
    worker = await state.worker("greet")
    rescuer, claimer = await state.connect(state.url), await state.connect(state.url)
    async with rescuer.transaction():
        await workers.leave(rescuer, [worker])
        claiming = asyncio.create_task(runs.claim(claimer, worker, GREET, 1))
        await state.waits_for_a_lock(claimer)
    assert await claiming == []
    assert await state.statuses() == {queued[0]: ("queued", None)}


async def test_what_a_lost_answer_claimed_is_given_back_and_what_is_known_is_kept(state: State) -> None:
    mine, other = await state.worker("greet"), await state.worker("greet")
    await state.queue(3)
    known, *lost = await runs.claim(state.connection, mine, GREET, 2)
    (others,) = await runs.claim(state.connection, other, GREET, 1)
    assert await workers.release_unknown(state.connection, mine, [known.id]) == 1
    assert await state.statuses() == {
        known.id: ("running", mine),
        lost[0].id: ("queued", None),
        others.id: ("running", other),
    }


async def test_a_rescue_ends_the_leases_that_ran_out_and_no_others(any_state: State) -> None:
    state = any_state
    gone, alive = await state.worker("greet", lease=0.0), await state.worker("greet", lease=60.0)
    await state.queue(4)
    lost = await runs.claim(state.connection, gone, GREET, 2)
    kept = await runs.claim(state.connection, alive, GREET, 2)
    assert await workers.rescue(state.connection) == ([gone], 2)
    assert await workers.rescue(state.connection) == ([], 0)
    assert await state.statuses() == {
        **{run.id: ("queued", None) for run in lost},
        **{run.id: ("running", alive) for run in kept},
    }


async def test_rescuers_at_the_same_time_release_each_run_once(state: State) -> None:
    await state.queue(20)
    for _ in range(4):
        worker = await state.worker("greet", lease=0.0)
        assert len(await runs.claim(state.connection, worker, GREET, 5)) == 5
    connections = [await state.connect(state.url) for _ in range(4)]
    rescued = await asyncio.gather(*map(workers.rescue, connections))
    assert sum(count for _, count in rescued) == 20
    assert sorted(worker for expired, _ in rescued for worker in expired) == [1, 2, 3, 4]


async def test_a_lease_renewed_just_in_time_is_kept(any_state: State) -> None:
    state = any_state
    worker = await state.worker("greet", lease=0.0)
    heart, rescuer = await state.connect(state.url), await state.connect(state.url)
    async with heart.transaction():
        await heart.execute("update cdc_state.workers set lease_until = now() + interval '1 minute'")
        rescuing = asyncio.create_task(workers.rescue(rescuer))
        await state.waits_for_a_lock(rescuer)
    assert await rescuing == ([], 0)
    assert await state.one("select id from cdc_state.workers") == worker


async def test_the_heartbeat_never_waits_for_claims_and_batches(any_state: State) -> None:
    state = any_state
    worker = await state.worker("greet")
    await state.queue(1)
    claimer = await state.connect(state.url)
    async with claimer.transaction():
        assert len(await runs.claim(claimer, worker, GREET, 1)) == 1
        heart = workers.heartbeat_connection(state.url, within=60)
        heart.execute("set lock_timeout = '2s'")
        assert await asyncio.to_thread(workers.renew, heart, worker, 60.0)
        heart.close()
