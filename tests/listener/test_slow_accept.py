"""Accepting may take long: the server has signs of life all the while."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from psycopg.conninfo import make_conninfo

from cdc.events.accept import Accepted
from tests.listener.listening import ids, open_listening, until_streaming
from tests.servers import Connect
from tests.waiting import eventually

T = "create table t (id int primary key, body text)"
HEARD = """
    select reply_time - %s > interval '6 s' from pg_stat_replication
    where pid = (select active_pid from pg_replication_slots where slot_name = %s)
"""


async def test_a_slow_accept_is_not_taken_for_a_dead_listener(migrated_url: str, connect: Connect) -> None:
    database = await open_listening(migrated_url, connect, T)
    # Six of the intervals at which it is to hear of us: a machine that stands still for a while is not cut off either.
    url = make_conninfo(database.url, options="-c wal_sender_timeout=30s")
    database.watched = replace(database.watched, url=url)
    listener, streaming = await database.listener()
    asked, goes_on = asyncio.Event(), asyncio.Event()
    accept = listener._door.accept

    async def accept_late(*arguments: Any) -> Accepted:
        asked.set()
        await goes_on.wait()
        return await accept(*arguments)

    listener._door.accept = accept_late  # type: ignore[method-assign, assignment]
    life = await until_streaming(listener, streaming)
    await database.run("insert into t select n, 'x' from generate_series(1, 50000) n")
    await asked.wait()
    began = await database.one("select clock_timestamp()")

    async def was_heard() -> bool:
        assert not life.done(), life
        return bool(await database.one(HEARD, began, database.watched.slot))

    await eventually(was_heard, within=60, what="the server hears of the listener again and again")
    goes_on.set()
    await database.read_everything()
    listener.stop()
    await life
    assert ids(await database.events()) == [*range(1, 50_001)]
