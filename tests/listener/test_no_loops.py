"""What the service writes never comes back to it as an event that makes it write again."""

from __future__ import annotations

import pytest

from cdc import Context, function
from cdc.store import publications
from tests.listener.listening import ids, open_listening
from tests.servers import Connect

T = "create table t (id int primary key, body text)"


@pytest.mark.parametrize("table", [("cdc_state", "events"), ("cdc_state", "runs"), ("cdc", "embeddings")])
async def test_tables_of_our_own_are_never_published(
    any_migrated_url: str, connect: Connect, table: tuple[str, str]
) -> None:
    database = await open_listening(any_migrated_url, connect, T)
    publication = database.watched.publication
    unpublished = await publications.publish(database.connection, publication, [table])
    assert "belongs to the service" in unpublished.refused[table]
    assert table not in await publications.tables(database.connection, publication)


async def test_a_function_that_names_our_tables_starts_no_loop(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T)

    @function("echo", on=["db/cdc_state.events.inserted", "db/cdc_state.runs.*", "db/t.inserted"])
    async def echo(ctx: Context) -> None: ...

    await database.register(echo)
    async with database.listening():
        await database.run("insert into t values (1, 'a')")
        await database.read_everything()
        await database.read_everything()
    assert ids(await database.events()) == [1]
    assert await database.one("select count(*) from cdc_state.runs") == 1
