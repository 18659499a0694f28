"""The vectors of a target are those of the rows' present texts, whatever happens in between."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from cdc.authoring.context import Counts
from cdc.authoring.event import Event
from cdc.embedding import reconcile
from cdc.embedding.reconcile import NotYet
from cdc.errors import RetryAfter
from cdc.store import vectors
from tests.functions.embedding import Embedder, Followed, change
from tests.servers import Connect, Connection


async def test_rows_are_embedded(docs: Followed) -> None:
    await docs.execute("insert into docs values (1, 'Title', 'Body'), (2, null, 'Only a body'), (3, '', 'Empty title')")
    assert await docs.reconcile(1, 2, 3) == Counts(embedded=3)
    assert sorted(docs.embedder.asked) == ["Empty title", "Only a body", "Title\n\nBody"]
    await docs.check()


async def test_a_second_look_does_nothing(docs: Followed) -> None:
    await docs.execute("insert into docs values (1, 'a', 'b')")
    await docs.reconcile(1)
    before = await docs.versions()
    assert await docs.reconcile(1, 1) == Counts(unchanged=1)
    assert await docs.versions() == before
    assert docs.embedder.asked == ["a\n\nb"]


async def test_the_same_text_is_embedded_once(docs: Followed) -> None:
    await docs.execute("insert into docs select n, 'same', null from generate_series(1, 20) n")
    assert await docs.reconcile(*range(1, 21)) == Counts(embedded=20)
    assert docs.embedder.asked == ["same"]
    await docs.check()


async def test_more_rows_than_are_taken_at_once(docs: Followed) -> None:
    await docs.execute("insert into docs select n, 'text ' || n, null from generate_series(1, 1100) n")
    assert await docs.reconcile(*range(1, 1201)) == Counts(embedded=1100, unchanged=100)
    await docs.check()


@pytest.mark.parametrize("empty", ["null", "''"])
async def test_no_text_has_no_vector(docs: Followed, empty: str) -> None:
    await docs.execute("insert into docs values (1, 'a', 'b')")
    await docs.reconcile(1)
    await docs.execute(f"update docs set title = {empty}, body = {empty}")
    assert await docs.reconcile(1) == Counts(cleared=1)
    await docs.check()


async def test_a_deleted_row_leaves_nothing(docs: Followed) -> None:
    await docs.execute("insert into docs values (1, 'a', 'b')")
    await docs.reconcile(1)
    await docs.execute("delete from docs")
    await docs.reconcile(1)
    await docs.check()
    assert await docs.reconcile(1) == Counts(unchanged=1)


async def test_a_row_that_comes_back_is_embedded_again(docs: Followed) -> None:
    await docs.execute("insert into docs values (1, 'a', 'b')")
    await docs.reconcile(1)
    await docs.execute("delete from docs")
    await docs.execute("insert into docs values (1, 'a', 'b')")
    await docs.reconcile(1)
    await docs.check()


# --- interleaved with others --------------------------------------------------------------------------------------


async def test_a_late_answer_does_not_overwrite_a_newer_vector(docs: Followed) -> None:
    async def newer() -> None:
        await docs.execute("update docs set title = 'new'")
        await docs.reconcile(1)
        written.extend(await docs.versions())

    written: list[str] = []
    await docs.execute("insert into docs values (1, 'old', null)")
    docs.embedder.meanwhile = newer
    await docs.reconcile(1)
    assert docs.embedder.asked == ["old", "new"]
    assert await docs.versions() == written, "not even for a moment"
    await docs.check()


@pytest.mark.parametrize("stored", [False, True])
async def test_of_two_with_the_same_answer_one_writes(table: Followed, stored: bool) -> None:
    async def other() -> None:
        await table.reconcile(1)
        written.extend(await table.versions())

    written: list[str] = []
    await table.execute("insert into docs values (1, 'old', null)")
    if stored:
        await table.reconcile(1)
        await table.execute("update docs set title = 'new'")
    table.embedder.meanwhile = other
    await table.reconcile(1)
    assert await table.versions() == written
    await table.check()


async def test_a_late_answer_to_a_text_that_was_there_before(docs: Followed) -> None:
    async def and_back() -> None:
        await docs.execute("update docs set title = 'first'")
        await docs.reconcile(1)

    await docs.execute("insert into docs values (1, 'first', null)")
    await docs.reconcile(1)
    await docs.execute("update docs set title = 'second'")
    docs.embedder.meanwhile = and_back
    await docs.reconcile(1)
    await docs.check()


async def test_a_text_that_changes_meanwhile_is_embedded_in_the_next_round(docs: Followed) -> None:
    async def change_it() -> None:
        await docs.execute("update docs set title = 'new' where id = 1")

    await docs.execute("insert into docs values (1, 'old', null), (2, 'other', null)")
    docs.embedder.meanwhile = change_it
    assert await docs.reconcile(1, 2) == Counts(embedded=2)
    assert sorted(docs.embedder.asked) == ["new", "old", "other"]
    await docs.check()


async def test_a_row_deleted_meanwhile_leaves_nothing(docs: Followed) -> None:
    async def delete_it() -> None:
        await docs.execute("delete from docs")

    await docs.execute("insert into docs values (1, 'a', null)")
    docs.embedder.meanwhile = delete_it
    await docs.reconcile(1)
    await docs.check()


async def test_a_delete_that_commits_while_the_vector_is_written(
    table: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write sees the row; it is gone when the write commits, and was looked after before that."""
    write = vectors.write

    async def overtaken(conn: Connection, *rest: Any) -> int:
        written = await write(conn, *rest)
        await table.execute("delete from docs")
        await table.reconcile(1)
        assert not await table.vectors()
        return written

    monkeypatch.setattr(vectors, "write", overtaken)
    await table.execute("insert into docs values (1, 'a', null)")
    await table.reconcile(1)
    await table.check()


async def test_a_row_that_never_holds_still_is_left_for_later(docs: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    async def change_it() -> None:
        docs.embedder.meanwhile = change_it
        await docs.execute("update docs set title = title || '.'")

    monkeypatch.setattr(reconcile, "_PAUSE", 0.0)
    await docs.execute("insert into docs values (1, 'a', null)")
    docs.embedder.meanwhile = change_it
    with pytest.raises(RetryAfter, match="are changed faster than they are embedded") as raised:
        await docs.reconcile(1)
    assert raised.value.counts_as_attempt
    docs.embedder.meanwhile = None
    await docs.reconcile(1)
    await docs.check()


async def test_rows_that_others_hold_are_not_waited_for(
    column: Followed, migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the application's own transactions never deadlock with ours."""
    monkeypatch.setattr(reconcile, "_PAUSE", 0.0)
    application = await connect(migrated_url)
    await column.execute("insert into docs values (1, 'a', null), (2, 'b', null)")
    async with application.transaction():
        await application.execute("update docs set title = 'c' where id = 2")
        with pytest.raises(NotYet, match="are held by other transactions"):
            await column.reconcile(1, 2)
        assert (await column.vectors()).keys() == {1}
        await application.execute("update docs set title = 'd' where id = 1")
    await column.reconcile(1, 2)
    await column.check()


@pytest.mark.parametrize("seed", range(6))
async def test_any_interleaving_ends_well(docs: Followed, seed: int) -> None:
    """Each change is followed on its own, late, perhaps twice, several at a time: as events are."""
    chance = random.Random(seed)
    following: set[asyncio.Task[None]] = set()

    async def dawdle() -> None:
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.01]))

    class Dawdler(Embedder):
        async def __call__(self, *args: Any) -> Any:
            await dawdle()
            answers = await super().__call__(*args)
            await dawdle()
            return answers

    docs.embedder = Dawdler()

    async def look(event: Event) -> None:
        await dawdle()
        while True:
            try:
                await docs.target.follow(docs.db, docs.embedder, [event])
            except RetryAfter:
                await dawdle()
            else:
                return

    for _ in range(80):
        key, text = chance.randint(1, 3), chance.choice(["'a'", "'b'", "'c'", "null"])
        statements = {
            f"insert into docs values ({key}, {text}) on conflict (id) do update set title = excluded.title": 10,
            f"delete from docs where id = {key}": 3,
            f"delete from docs where id = {key}; insert into docs values ({key}, {text})": 2,
            "truncate docs cascade": 1,
        }
        (statement,) = chance.choices(list(statements), list(statements.values()))
        await docs.execute(statement)
        event = change("truncated", None) if statement.startswith("truncate") else change("updated", {"id": key})
        following |= {asyncio.create_task(look(event)) for _ in range(chance.choice([1, 1, 2]))}
        if chance.random() < 0.3:
            await dawdle()
    await asyncio.gather(*following)
    await docs.check()


async def test_a_vector_that_somebody_removes_is_made_again(column: Followed) -> None:
    await column.execute("insert into docs values (1, 'a', null)")
    await column.reconcile(1)
    await column.execute("update docs set embedding = null")
    assert await column.reconcile(1) == Counts(embedded=1)
    await column.check()


async def test_a_vector_of_unknown_text_is_replaced(column: Followed) -> None:
    await column.execute("insert into docs values (1, 'a', null, '[1, 2, 3, 4]'), (2, null, null, '[1, 2, 3, 4]')")
    assert await column.reconcile(1, 2) == Counts(embedded=1, cleared=1)
    await column.check()
