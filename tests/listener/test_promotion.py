"""A later timeline of the same server is followed where nothing is lost by that. `test_failover` has real standbys."""

from __future__ import annotations

import pytest

from cdc.errors import CheckpointMismatch
from cdc.listener.source import belongs
from cdc.lsn import Lsn
from cdc.wal import timelines
from cdc.wal.slot import drop_slot
from tests.listener.listening import Listening, ids, open_listening
from tests.listener.test_listener_attach import T, moved_slot
from tests.servers import Connect


async def open_promoted(url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch, left: Lsn | None) -> Listening:
    """A source whose checkpoint was made on the timeline before; the server says that it left that at `left`."""
    database = await open_listening(url, connect, T)
    async with database.listening():
        await database.run("insert into t values (1, 'before')")
        await database.read_everything()
    await database.run("update cdc_state.sources set timeline = timeline - 1")

    async def end_of(conninfo: str, timeline: int, *, in_history_of: int) -> Lsn | None:
        assert timeline + 1 == in_history_of
        return left

    monkeypatch.setattr(timelines, "end_of", end_of)
    return database


async def test_a_later_timeline_that_has_everything_is_followed(
    any_migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await open_promoted(any_migrated_url, connect, monkeypatch, 2**62)
    before = await database.checkpoint()
    # Who never listens waits for one that does.
    assert not await belongs(database.watched, database.connection, database.connection)
    async with database.listening():
        await database.run("insert into t values (2, 'after')")
        await database.read_everything()
    assert ids(await database.events()) == [1, 2]
    after = await database.checkpoint()
    assert after.source_id == before.source_id
    assert after.epoch > before.epoch
    assert await belongs(database.watched, database.connection, database.connection)


@pytest.mark.parametrize(
    ("left", "spoil", "says"),
    [
        (None, None, "is no ancestor of this one"),
        (1, None, "events were accepted of changes that are not in this database"),
        (2**62, "drop", "promoted without the replication slot"),
        (2**62, "move", "beyond the checkpoint"),
    ],
)
async def test_a_later_timeline_on_which_something_is_lost_is_refused(
    migrated_url: str,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    left: Lsn | None,
    spoil: str | None,
    says: str,
) -> None:
    database = await open_promoted(migrated_url, connect, monkeypatch, left)
    if spoil == "drop":
        await drop_slot(database.url, database.watched.slot)
    elif spoil == "move":
        await moved_slot(database)
    before = await database.checkpoint()
    for _ in range(2):
        with pytest.raises(CheckpointMismatch, match=says) as refused:
            await database.attach()
        assert "cdc adopt" in refused.value.hint
    assert await database.checkpoint() == before
    assert await database.one("select count(*) from cdc_state.sources where timeline = 0") == 1
