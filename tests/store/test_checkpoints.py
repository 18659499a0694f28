"""Checkpoints: one holder at a time, and whoever takes over knows how far the last one got."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest

from cdc.errors import ListenerFenced
from cdc.lsn import Position, render
from cdc.store import checkpoints, gaps
from tests.store.state import State


async def test_a_checkpoint_moves_from_where_it_is_and_for_its_holder_only(any_state: State) -> None:
    state = any_state
    before = await state.source()
    after = before.moved(Position(2**64 - 1, 2**32 - 1), 2**64 - 1)
    for other in (
        replace(before, epoch=before.epoch - 1),
        replace(before, epoch=before.epoch + 1),
        before.moved(Position(1, -1), before.end_lsn),
        before.moved(Position(0, 0), before.end_lsn),
        replace(before, source_id=before.source_id + 1),
    ):
        assert await checkpoints.advance(state.connection, other, after) is None
    assert await state.checkpoint() == before
    assert await checkpoints.advance(state.connection, before, after) == 0
    assert await state.checkpoint() == after


async def test_taking_over_waits_for_an_accept_under_way_and_goes_on_from_it(any_state: State) -> None:
    state = any_state
    before = await state.source()
    after = before.moved(Position(200, 5), 208)
    holder, successor = await state.connect(state.url), await state.connect(state.url)
    async with holder.transaction():
        assert await checkpoints.advance(holder, before, after) is not None
        taking = asyncio.create_task(checkpoints.take_over(successor, before))
        await state.waits_for_a_lock(successor)
    assert await taking == replace(after, epoch=before.epoch + 1)


async def test_an_accept_waits_for_a_successor_under_way_and_is_refused(any_state: State) -> None:
    state = any_state
    before = await state.source()
    holder, successor = await state.connect(state.url), await state.connect(state.url)
    async with successor.transaction():
        await checkpoints.take_over(successor, before)
        moving = asyncio.create_task(checkpoints.advance(holder, before, before.moved(Position(200, 5), 208)))
        await state.waits_for_a_lock(holder)
    assert await moving is None


async def test_a_source_has_one_live_incarnation_and_a_new_one_starts_afresh(state: State) -> None:
    first = await state.source()
    with pytest.raises(psycopg.errors.UniqueViolation):
        await state.source()
    assert await checkpoints.retire_source(state.connection, "default")
    assert not await checkpoints.retire_source(state.connection, "default")
    assert await checkpoints.current(state.connection, "default") is None
    second = await state.source()
    assert second.source_id != first.source_id
    assert (second.position, second.end_lsn) == (Position(0, -1), 100)


async def test_who_listens_for_an_incarnation_that_was_ended_is_refused_and_cannot_take_it_over(state: State) -> None:
    held = await state.source()
    moved = held.moved(Position(200, 5), 208)
    assert await checkpoints.advance(state.connection, held, moved) is not None
    assert await checkpoints.retire_source(state.connection, "default", "for the test")
    assert await checkpoints.advance(state.connection, moved, moved.moved(Position(300, 0), 308)) is None
    with pytest.raises(ListenerFenced, match="given up meanwhile"):
        await checkpoints.take_over(state.connection, moved)


async def test_a_gap_lasts_from_the_checkpoint_that_was_given_up_to_the_next_opening(state: State) -> None:
    before = await state.source()
    assert await gaps.close(state.connection, "default", 500) is None
    await checkpoints.advance(state.connection, before, before.moved(Position(200, 5), 208))
    await checkpoints.retire_source(state.connection, "default", "for the test")
    (gap,) = await gaps.listed(state.connection)
    assert (gap.source, gap.from_lsn, gap.to_lsn, gap.reason) == ("default", render(208), None, "for the test")
    closed = await gaps.close(state.connection, "default", 500)
    assert closed is not None
    assert (closed.from_lsn, closed.to_lsn) == (render(208), render(500))
    assert await gaps.listed(state.connection) == [closed]


async def test_following_a_timeline_refuses_who_listened_on_the_one_before(state: State) -> None:
    held = await state.source()
    known = await checkpoints.current(state.connection, "default")
    assert known is not None
    moved = await checkpoints.follow_timeline(state.connection, known[0], 2)
    assert moved == replace(held, epoch=held.epoch + 1)
    assert await checkpoints.advance(state.connection, held, held.moved(Position(200, 5), 208)) is None
    assert await checkpoints.follow_timeline(state.connection, known[0], 2) is None
    now = await checkpoints.current(state.connection, "default")
    assert now is not None
    assert (now[0].id, now[0].timeline) == (known[0].id, 2)
