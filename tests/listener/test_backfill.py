"""Existing rows become events: which tables, which values, and what a function sees of them."""

from __future__ import annotations

from cdc.listener import backfill as reading
from tests.listener.backfilling import backfill, backfilled
from tests.listener.listening import ids, open_listening, position
from tests.servers import Connect

T = "create table t (id int primary key, body text)"
ROWS = "insert into t select n, 'row ' || n from generate_series(1, 5000) n"


async def test_each_existing_row_is_one_event(any_migrated_url: str, connect: Connect) -> None:
    database = await open_listening(any_migrated_url, connect, T, ROWS)
    done = await backfill(database)
    assert (done.status, done.rows_done, done.reason) == ("done", 5000, None)
    events = await backfilled(database)
    assert ids(events) == [*range(1, 5001)]
    event = events[0]
    assert event.name == "db/t.backfilled"
    assert event.data["new"] == {"id": 1, "body": "row 1"}
    assert (event.data["old"], event.data["unchanged"], event.data["backfill"]) == (None, [], done.id)
    assert (event.data["schema"], event.data["table"], event.data["source"]) == ("public", "t", "default")
    assert len({position(event).commit_lsn for event in events}) == -(-5000 // reading.MOST)
