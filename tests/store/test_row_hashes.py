"""What is remembered of rows: by one writer for each source, in the order of the keys, in nobody's way."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from cdc import faults
from cdc.events import ids
from cdc.events.accept import Accepted, Door
from cdc.lsn import Position
from cdc.store import row_hashes
from cdc.store.checkpoints import Checkpoint
from cdc.store.events import FEW, Incoming, RowChange
from tests.store.state import State, change, definition

IDENTITY = (1, "d", ("id",))
TABLE = ("public", "users")


def users(source_id: int, lsn: int, verb: str, *rows: dict[str, Any], identity: Any = IDENTITY) -> list[Incoming]:
    """Events of users, as the listener makes them when a trigger narrows on columns."""
    return [
        Incoming(
            ids.of_position(source_id, Position(lsn, place)),
            f"db/users.{verb}",
            1_750_000_000_000_000,
            orjson.dumps({"new": row, "old": None, "unchanged": []}),
            Position(lsn, place),
            None,
            RowChange(identity, row, None, ()),
        )
        for place, row in enumerate(rows)
    ]


async def accept(door: Door, incoming: list[Incoming], before: Checkpoint) -> Accepted:
    position = incoming[-1].position
    assert position is not None
    return await door.accept(incoming, before, before.moved(position, position.commit_lsn + 8))


async def narrowed(state: State) -> None:
    """Register a function that starts only when a user's name changed."""
    stored = definition("rename", "db/users.updated")
    stored["triggers"][0]["columns"] = ["name"]
    await state.register(stored)


async def hashes(state: State) -> list[Any]:
    return [tuple(row) for row in await state.rows("select * from cdc_state.row_hashes order by table_id, key")]


async def test_few_and_many_events_are_judged_alike(any_state: State) -> None:
    state = any_state
    await narrowed(state)
    at, door = await state.source(), await state.door()
    for lsn, count in ((200, FEW), (300, FEW + 1)):
        rows = [{"id": lsn + number, "name": "a"} for number in range(count)]
        at = (await accept(door, users(at.source_id, lsn, "inserted", *rows), at)).checkpoint
        same = await accept(door, users(at.source_id, lsn + 10, "updated", *rows), at)
        changed = [{**row, "name": "b"} if number % 2 else row for number, row in enumerate(rows)]
        other = await accept(door, users(at.source_id, lsn + 20, "updated", *changed), same.checkpoint)
        assert (same.runs, other.runs) == (0, count // 2)
        at = other.checkpoint


async def test_an_event_that_is_repeated_is_not_judged_again(state: State) -> None:
    await narrowed(state)
    at, door = await state.source(), await state.door()
    first = users(at.source_id, 200, "inserted", {"id": 1, "name": "a"})
    second = users(at.source_id, 300, "updated", {"id": 1, "name": "b"})
    at = (await accept(door, first + second, at)).checkpoint
    known = await hashes(state)
    third = users(at.source_id, 400, "updated", {"id": 1, "name": "b"})
    again = await accept(door, second + third, at)
    assert again.runs == 0
    assert await hashes(state) == known


async def test_an_event_that_is_set_aside_leaves_those_beside_it_judged(state: State) -> None:
    await state.connection.execute("alter table cdc_state.events add check ((data ->> 'new') not like '%poison%')")
    await narrowed(state)
    at, door = await state.source(), await state.door()
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": "poison"}, {"id": 3, "name": "a"}]
    at = (await accept(door, users(at.source_id, 200, "inserted", *rows), at)).checkpoint
    assert await state.counts() == (2, 0, 1)
    assert len(await hashes(state)) == 2
    updated = await accept(door, users(at.source_id, 300, "updated", *({**row, "name": "a"} for row in rows)), at)
    assert updated.runs == 1, "of the row that was never seen"


async def test_each_incarnation_of_a_source_knows_its_own_rows(state: State) -> None:
    await narrowed(state)
    first, second = await state.source(), await state.source("other")
    row = {"id": 1, "name": "a"}
    await accept(await state.door(), users(first.source_id, 200, "inserted", row), first)
    told = await accept(await state.door(), users(second.source_id, 200, "updated", row), second)
    assert told.runs == 1
    assert len(await hashes(state)) == 2


async def test_what_nobody_narrows_on_is_not_looked_at(state: State) -> None:
    await state.register(definition("any", "db/users.*"))
    at = await state.source()
    told = await accept(await state.door(), users(at.source_id, 200, "updated", {"id": 1}), at)
    assert (told.runs, await hashes(state)) == (1, [])
    assert await state.rows("select * from cdc_state.narrowed_tables") == []


async def test_an_update_of_a_narrowed_table_without_its_row_starts_the_function(state: State) -> None:
    await narrowed(state)
    at, door = await state.source(), await state.door()
    row: dict[str, Any] = {"id": 1, "name": "a"}
    at = (await accept(door, users(at.source_id, 200, "inserted", row), at)).checkpoint
    bare = change(at.source_id, 300, **row)._replace(name="db/users.updated")
    told = await accept(door, [bare], at)
    assert told.runs == 1
    assert (await accept(door, users(at.source_id, 400, "updated", row), told.checkpoint)).runs == 1


async def test_a_table_is_forgotten_by_the_first_accept_that_commits_without_narrowing(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    await narrowed(state)
    at, door = await state.source(), await state.door()
    row = {"id": 1, "name": "a"}
    at = (await accept(door, users(at.source_id, 200, "inserted", row), at)).checkpoint
    await state.rows("delete from cdc_state.workers returning 1")
    await state.register(definition("any", "db/users.updated"))

    def fail(point: str) -> None:
        raise RuntimeError(point)

    with monkeypatch.context() as failing:
        failing.setattr(faults, "point", fail)
        with pytest.raises(RuntimeError, match=r"accept\.before_commit"):
            await accept(door, users(at.source_id, 300, "updated", row), at)
    assert len(await state.rows("select * from cdc_state.narrowed_tables")) == 1
    at = (await accept(door, users(at.source_id, 300, "updated", row), at)).checkpoint
    assert await state.rows("select * from cdc_state.narrowed_tables") == []
    await narrowed(state)
    told = await accept(door, users(at.source_id, 400, "updated", row), at)
    assert told.runs == 2, "the first update after that starts both"


async def test_a_column_that_is_not_there_is_told_once(state: State) -> None:
    await narrowed(state)
    at, door = await state.source(), await state.door()
    with capture_logs() as logs:
        for lsn in (200, 300):
            told = await accept(door, users(at.source_id, lsn, "updated", {"id": 1}, {"id": 2}), at)
            assert told.runs == 0
            at = told.checkpoint
    assert [(line["log_level"], line["table"], line["column"]) for line in logs] == [
        ("warning", "public.users", "name")
    ]


async def test_two_writers_take_the_rows_in_the_same_order(state: State) -> None:
    first, second = await state.connect(state.url), await state.connect(state.url)
    keys = [f"{number:032x}" for number in range(3)]
    async with first.transaction():
        await row_hashes.keep(first, [(1, keys[1], "{}")])
        life = asyncio.create_task(row_hashes.keep(second, [(1, key, '{"a": "b"}') for key in reversed(keys)]))
        await state.waits_for_a_lock(second)
        # The second has the row before and not the one after: nothing stands that could deadlock.
        await first.execute("set local lock_timeout = '5s'")
        await row_hashes.keep(first, [(1, keys[2], "{}")])
    await life
    assert [stored["a"] for _, _, stored in await hashes(state)] == ["b", "b", "b"]


async def test_rows_that_are_written_are_not_waited_for_to_be_pruned(state: State) -> None:
    writer, pruner = await state.connect(state.url), await state.connect(state.url)
    await row_hashes.keep(writer, [(1, f"{number:032x}", "{}") for number in range(3)])
    async with writer.transaction():
        await row_hashes.keep(writer, [(1, f"{1:032x}", '{"a": "b"}')])
        await pruner.execute("set lock_timeout = '5s'")
        assert await row_hashes.prune(pruner, 10) == 2
    assert await row_hashes.prune(pruner, 10) == 1
