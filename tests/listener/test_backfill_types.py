"""Backfilled rows of types of one's own: they look as they do from the stream, and are told apart by such keys."""

from __future__ import annotations

from tests.listener.backfilling import backfill, backfilled
from tests.listener.listening import open_listening
from tests.servers import Connect

TYPES = (
    "create domain number as int8",
    "create type mood as enum ('sad', 'happy')",
    "create type pair as (a number, b mood[])",
    "create table t (id number, m mood, p pair, many pair[], primary key (id, m))",
)


async def test_values_of_own_types_look_as_they_do_from_the_stream(any_migrated_url: str, connect: Connect) -> None:
    values = "'happy', row(7, '{sad}'), array[row(8, null)]::pair[]"
    database = await open_listening(any_migrated_url, connect, *TYPES, f"insert into t values (1, {values})")
    assert (await backfill(database)).rows_done == 1
    async with database.listening():
        await database.run(f"insert into t values (2, {values})")
        await database.read_everything()
    (old,) = [event.data["new"] for event in await backfilled(database)]
    (new,) = [event.data["new"] for event in await database.events() if event.name == "db/t.inserted"]
    assert old == {"id": 1, "m": "happy", "p": {"a": 7, "b": ["sad"]}, "many": [{"a": 8, "b": None}]}
    assert old | {"id": 2} == new
