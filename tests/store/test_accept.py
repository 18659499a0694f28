"""The one door: all or nothing, once, behind the fence, and one bad event harms only itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc import faults
from cdc.errors import ListenerFenced
from cdc.events import accept as module
from cdc.lsn import render
from cdc.store import checkpoints
from cdc.store.checkpoints import Checkpoint
from cdc.store.events import Incoming
from cdc.store.failures import StatementFailed, about_a_value
from tests.store.state import State, change, definition

NO_POISON = "alter table cdc_state.events add check ((data ->> 'new') not like '%poison%')"

CUT_AT_RUNS = """
    create function cut() returns trigger language plpgsql as
        'begin perform pg_terminate_backend(pg_backend_pid()); return null; end';
    create trigger cut after insert on cdc_state.runs execute function cut();
"""

fresh_source = count().__next__


def changes(source_id: int, lsn: int, count: int, poisoned: Sequence[int] = ()) -> list[Incoming]:
    """A transaction of inserted users."""
    return [
        change(source_id, lsn, ordinal, name="poison" if ordinal in poisoned else "good") for ordinal in range(count)
    ]


def reached(checkpoint: Checkpoint, incoming: Sequence[Incoming]) -> Checkpoint:
    """The checkpoint after the last of these."""
    position = incoming[-1].position
    assert position is not None
    return checkpoint.moved(position, position.commit_lsn + 8)


async def set_back(state: State, to: Checkpoint) -> None:
    await state.rows(
        "update cdc_state.checkpoints set commit_lsn = %s::pg_lsn, ordinal = %s, end_lsn = %s::pg_lsn"
        " where source_id = %s returning 1",
        render(to.position.commit_lsn),
        to.position.ordinal,
        render(to.end_lsn),
        to.source_id,
    )


async def stored(state: State, source_id: int) -> list[UUID]:
    found = await state.rows("select id from cdc_state.events where source_id = %s order by id", source_id)
    return [id_ for (id_,) in found]


def ids(incoming: Sequence[Incoming]) -> list[UUID]:
    return [UUID(bytes=event.id) for event in incoming]


async def test_events_their_runs_and_the_checkpoint_are_stored_together(any_state: State) -> None:
    state = any_state
    await state.register(definition("greet"), definition("batch", batch=2))
    before = await state.source()
    incoming = changes(before.source_id, 200, 3)
    door = await state.door()

    accepted = await door.accept(incoming, before, reached(before, incoming))

    assert accepted[:3] == (reached(before, incoming), 3, 5)
    assert await state.counts() == (3, 5, 0)
    assert await state.checkpoint() == accepted.checkpoint
    assert await stored(state, before.source_id) == ids(incoming)
    first, second, third = ids(incoming)
    runs = await state.rows("select function_id, event_ids from cdc_state.runs where status = 'queued'")
    assert sorted(runs) == [
        ("batch", [first, second]),
        ("batch", [third]),
        ("greet", [first]),
        ("greet", [second]),
        ("greet", [third]),
    ]


async def test_an_accept_that_ends_before_its_commit_leaves_nothing(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    await state.register(definition("greet"))
    before = await state.source()
    incoming = changes(before.source_id, 200, 3)

    def fail(point: str) -> None:
        raise RuntimeError(point)

    monkeypatch.setattr(faults, "point", fail)
    with pytest.raises(RuntimeError, match=r"accept\.before_commit"):
        await (await state.door()).accept(incoming, before, reached(before, incoming))
    assert await state.counts() == (0, 0, 0)
    assert await state.checkpoint() == before


async def test_a_connection_lost_before_the_commit_leaves_nothing_and_a_new_one_goes_on(state: State) -> None:
    await state.register(definition("greet"))
    before = await state.source()
    incoming = changes(before.source_id, 200, 3)
    await state.connection.execute(CUT_AT_RUNS)
    with pytest.raises(StatementFailed):
        await (await state.door()).accept(incoming, before, reached(before, incoming))
    assert await state.counts() == (0, 0, 0)
    assert await state.checkpoint() == before

    await state.connection.execute("drop trigger cut on cdc_state.runs")
    await (await state.door()).accept(incoming, before, reached(before, incoming))
    assert await state.counts() == (3, 3, 0)


async def test_a_repeat_is_a_no_op_even_if_the_checkpoint_was_set_back_by_hand(any_state: State) -> None:
    state = any_state
    await state.register(definition("greet"))
    before = await state.source()
    incoming = changes(before.source_id, 200, 3)
    more = [*incoming, *changes(before.source_id, 300, 2)]
    door = await state.door()
    await door.accept(incoming, before, reached(before, incoming))

    await set_back(state, before)
    again = await door.accept(incoming, before, reached(before, incoming))
    assert (again.events, again.runs) == (0, 0)
    assert await state.counts() == (3, 3, 0)
    assert await state.checkpoint() == reached(before, incoming)

    await set_back(state, before)
    further = await door.accept(more, before, reached(before, more))
    assert (further.events, further.runs) == (2, 2)
    assert await stored(state, before.source_id) == ids(more)


async def test_without_the_hand_a_repeat_is_refused(state: State) -> None:
    before = await state.source()
    incoming = changes(before.source_id, 200, 1)
    door = await state.door()
    await door.accept(incoming, before, reached(before, incoming))
    with pytest.raises(ListenerFenced):
        await door.accept(incoming, before, reached(before, incoming))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    cuts=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=6),
)
async def test_however_the_stream_is_cut_and_repeated_each_event_is_stored_once(
    state: State, sizes: list[int], cuts: list[tuple[float, float]]
) -> None:
    """Each cut is how far an accept gets, and how far back the checkpoint is set by hand after it."""
    start = await state.source(f"s{fresh_source()}")
    everything = [
        event for place, size in enumerate(sizes) for event in changes(start.source_id, 200 + place * 16, size)
    ]
    # The checkpoint after any number of events.
    marks = [start, *(reached(start, everything[: n + 1]) for n in range(len(everything)))]
    door = await state.door()
    at = 0
    for forward, back in [*cuts, (1.0, 0.0)]:
        to = at + round(forward * (len(everything) - at))
        await door.accept(everything[at:to], marks[at], marks[to])
        at = to - round(back * to)
        await set_back(state, marks[at])
    assert await stored(state, start.source_id) == ids(everything)


async def test_a_fenced_door_writes_nothing(any_state: State) -> None:
    state = any_state
    await state.connection.execute(NO_POISON)
    await state.register(definition("greet"))
    before = await state.source()
    frozen = await state.door()
    successor = await checkpoints.take_over(state.connection, before)

    for poisoned in ([], [0]):
        incoming = changes(before.source_id, 200, 1, poisoned)
        with pytest.raises(ListenerFenced):
            await frozen.accept(incoming, before, reached(before, incoming))
        with pytest.raises(ListenerFenced):
            await frozen.accept([], before, reached(before, incoming))
    assert await state.counts() == (0, 0, 0)
    assert await state.checkpoint() == successor

    accepted = await (await state.door()).accept(incoming[:0], successor, reached(successor, incoming))
    assert accepted.checkpoint.epoch == before.epoch + 1


async def test_an_event_is_set_aside_behind_the_fence_too(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    await state.connection.execute(NO_POISON)
    before = await state.source()
    incoming = changes(before.source_id, 200, 1, poisoned=[0])

    def take_over_meanwhile(error: psycopg.Error) -> bool:
        with psycopg.connect(state.url, autocommit=True) as successor:
            successor.execute("update cdc_state.checkpoints set epoch = epoch + 1")
        return about_a_value(error)

    monkeypatch.setattr(module, "about_a_value", take_over_meanwhile)
    with pytest.raises(ListenerFenced):
        await (await state.door()).accept(incoming, before, reached(before, incoming))
    assert await state.counts() == (0, 0, 0)


@pytest.mark.parametrize("poisoned", [[0], [31], [13], [0, 1, 15, 30, 31], range(32)], ids=str)
async def test_an_event_that_cannot_be_stored_is_set_aside_alone(state: State, poisoned: Sequence[int]) -> None:
    await state.connection.execute(NO_POISON)
    await state.register(definition("greet"))
    before = await state.source()
    incoming = changes(before.source_id, 200, 32, poisoned)
    good = [event for place, event in enumerate(incoming) if place not in poisoned]
    door = await state.door()

    accepted = await door.accept(incoming, before, reached(before, incoming))

    assert accepted[:3] == (reached(before, incoming), len(good), len(good))
    assert await state.checkpoint() == accepted.checkpoint
    assert await stored(state, before.source_id) == ids(good)
    aside = await state.rows("select id, source_id, name, position, reason from cdc_state.rejected_events order by id")
    assert [row[:4] for row in aside] == [
        (UUID(bytes=incoming[place].id), before.source_id, "db/users.inserted", f"0/C8+{place}") for place in poisoned
    ]
    assert all("violates check constraint" in reason for *_, reason in aside)

    later = changes(before.source_id, 300, 1)
    await door.accept(later, accepted.checkpoint, reached(before, later))
    assert await stored(state, before.source_id) == ids([*good, *later])


async def test_setting_aside_is_repeated_without_harm(state: State) -> None:
    await state.connection.execute(NO_POISON)
    before = await state.source()
    incoming = changes(before.source_id, 200, 5, poisoned=[1, 3])
    door = await state.door()
    for _ in range(2):
        await door.accept(incoming, before, reached(before, incoming))
        assert await state.counts() == (3, 0, 2)
        await set_back(state, before)


@pytest.mark.parametrize(
    "failure",
    ["admin_shutdown", "disk_full", "lock_not_available", "data_corrupted", "index_corrupted"],
)
async def test_an_event_is_never_blamed_for_a_failing_server(state: State, failure: str) -> None:
    await state.connection.execute(
        "create function fail() returns trigger language plpgsql as"
        f" $$ begin raise exception 'no' using errcode = '{failure}'; end $$;"
        " create trigger fail before insert on cdc_state.events for each row execute function fail()".encode()
    )
    before = await state.source()
    incoming = changes(before.source_id, 200, 2)
    with pytest.raises(StatementFailed):
        await (await state.door()).accept(incoming, before, reached(before, incoming))
    assert await state.counts() == (0, 0, 0)
    assert await state.checkpoint() == before


async def test_functions_registered_between_two_accepts_are_matched(any_state: State) -> None:
    state = any_state
    before = await state.source()
    first, second, third = (changes(before.source_id, lsn, 1) for lsn in (200, 300, 400))
    door = await state.door()
    await door.accept(first, before, reached(before, first))
    await state.register(definition("greet"))
    await door.accept(second, reached(before, first), reached(before, second))
    await state.register(definition("bill"))
    await door.accept(third, reached(before, second), reached(before, third))

    runs = await state.rows("select function_id, event_ids from cdc_state.runs")
    assert sorted(runs) == [("bill", ids(third)), ("greet", ids(second)), ("greet", ids(third))]


async def test_a_function_that_no_live_worker_has_starts_no_more_runs(state: State) -> None:
    before = await state.source()
    first, second = (changes(before.source_id, lsn, 1) for lsn in (200, 300))
    door = await state.door()
    await state.register(definition("greet"))
    await door.accept(first, before, reached(before, first))
    await state.rows("delete from cdc_state.workers returning 1")
    await state.register(definition("other", on="db/others.inserted"))
    accepted = await door.accept(second, reached(before, first), reached(before, second))
    assert (accepted.events, accepted.runs) == (1, 0)


async def test_an_accept_of_nothing_moves_the_checkpoint(any_state: State) -> None:
    before = await any_state.source()
    later = before.moved(before.position, before.end_lsn + 1000)
    accepted = await (await any_state.door()).accept([], before, later)
    assert accepted[:3] == (later, 0, 0)
    assert await any_state.checkpoint() == later


async def test_positions_of_several_sources_do_not_meet(state: State) -> None:
    one, other = await state.source("one"), await state.source("other")
    door = await state.door()
    for checkpoint in (one, other):
        incoming = changes(checkpoint.source_id, 200, 3)
        await door.accept(incoming, checkpoint, reached(checkpoint, incoming))
        assert await stored(state, checkpoint.source_id) == ids(incoming)
