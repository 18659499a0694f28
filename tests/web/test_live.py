"""Pages are told that there is more to see, as long as somebody looks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette

from cdc.store.connect import Connection, pool
from cdc.store.watching import TOPICS
from cdc.web import live
from cdc.web.server import Web
from cdc.web.site import Site
from cdc.web.status import Statuses
from tests.servers import Connect
from tests.store.state import State, open_state
from tests.waiting import eventually

OFTEN = 0.02
"""Seconds from one look to the next."""


@dataclass
class Watch:
    """A server of live pages, and when it asked the database."""

    url: str
    state: State
    site: Site
    asked: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def told(self, topic: str) -> AsyncIterator[AsyncIterator[str]]:
        """What one page is told, line by line; its first message has come."""
        async with (
            httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as client,
            client.stream("GET", "/live", params={"topic": topic}) as response,
        ):
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = (line async for line in response.aiter_lines() if line.startswith("data:"))
            await anext(lines)
            yield lines

    async def status(self, topic: str = "runs") -> int:
        async with (
            httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as client,
            client.stream("GET", "/live", params={"topic": topic}) as response,
        ):
            return response.status_code


@pytest.fixture
async def watch(migrated_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    monkeypatch.setattr("cdc.web.live.EVERY", OFTEN)
    asked: list[float] = []
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(pool(migrated_url, size=2, name="web"))

        @asynccontextmanager
        async def counted() -> AsyncIterator[Connection]:
            asked.append(time.monotonic())
            async with connections.connection() as conn:
                yield conn

        site = Site(Statuses(None), counted)
        web = Web(Starlette(routes=[live.route(site)]), 0)
        web.start()
        stack.push_async_callback(web.stop)
        stack.callback(site.stopping.set)
        yield Watch(web.url, await open_state(migrated_url, connect), site, asked)


async def test_every_topic_is_told_at_once(watch: Watch) -> None:
    for topic in TOPICS:
        async with watch.told(topic):
            pass


async def test_a_change_of_a_run_is_told_to_those_who_watch_it_or_the_list(watch: Watch) -> None:
    (run_id,) = await watch.state.queue(1, "paid")
    async with watch.told("runs") as listed, watch.told(f"run:{run_id}") as one:
        await watch.state.connection.execute(
            "update cdc_state.runs set status = 'waiting', due_at = now() + interval '1 hour'"
        )
        assert await anext(listed)
        assert await anext(one)
        await watch.state.connection.execute(
            "insert into cdc_state.logs (run_id, level, line, fields) values (%s, 'info', 'hello', '{}')", (run_id,)
        )
        assert await anext(one)


async def test_the_database_is_asked_for_all_together_and_only_while_somebody_looks(watch: Watch) -> None:
    async with AsyncExitStack() as pages:
        for _ in range(20):
            await pages.enter_async_context(watch.told("events"))
        since = time.monotonic()
        before = len(watch.asked)
        await eventually(lambda: len(watch.asked) > before + 5, what="it is asked again and again")
        asked = len(watch.asked) - before
        assert asked <= (time.monotonic() - since) / (OFTEN * 0.9) + 1
    await eventually(lambda: time.monotonic() - watch.asked[-1] > 10 * OFTEN, what="nobody asks any more")


async def test_a_server_that_stops_ends_what_it_tells(watch: Watch) -> None:
    async with watch.told("runs") as lines:
        watch.site.stopping.set()
        assert [line async for line in lines] == []


async def test_there_is_room_for_so_many_pages(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdc.web.live.MOST", 1)
    async with watch.told("runs"):
        assert await watch.status() == 503

    async def is_free() -> bool:
        return await watch.status() == 200

    await eventually(is_free, what="the place of a page that was closed is free")


async def test_what_nobody_knows_cannot_be_watched(watch: Watch) -> None:
    assert await watch.status("weather") == 404
    assert await watch.status("run:nonsense") == 404
