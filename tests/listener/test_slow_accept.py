"""Accepting may take longer than the server waits for a sign of life."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cdc.events.accept import Accepted
from cdc.wal.stream import ReplicationStream
from tests.listener.listening import ids, open_listening, until_streaming
from tests.listener.source import Source
from tests.servers import Connect

T = "create table t (id int primary key, body text)"


async def test_a_slow_accept_is_not_taken_for_a_dead_listener(
    any_migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ReplicationStream.open.__func__.__kwdefaults__, "status_interval", 0.1)  # type: ignore[attr-defined]
    database = await open_listening(any_migrated_url, connect, T)
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
    await Source(database.url, database.connection).is_told()
    assert not await database.is_free()
    assert not life.done()
    goes_on.set()
    await database.read_everything()
    listener.stop()
    await life
    assert ids(await database.events()) == [*range(1, 50_001)]
