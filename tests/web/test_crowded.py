"""More is sent than the database takes: what waits is bounded, and nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from cdc.store.connect import pool
from cdc.web import sending
from cdc.web.guard import connections, crowd
from cdc.web.room import Room
from cdc.web.server import Web
from tests.servers import Connect
from tests.store.state import State, open_state
from tests.waiting import eventually
from tests.web.conftest import Served

EVENT = {"name": "app/order.paid", "data": {"id": 7}}
FULL, NOTHING, UNSURE = "More is waiting", "nothing of this request was stored", "may have been stored"

WAITING = "from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"

Sending = Callable[..., Awaitable[Served]]


@pytest.fixture
async def taking(migrated_url: str, connect: Connect) -> AsyncIterator[Sending]:
    """Serves the one route, with this room and patience; something has been sent."""
    async with AsyncExitStack() as stack:

        async def serve(room: Room, patience: float = 60.0) -> Served:
            state = await open_state(migrated_url, connect)
            connections = await stack.enter_async_context(pool(migrated_url, size=4, name="web"))
            routes = sending.routes(connections.connection, lambda: None, (), room, patience)
            web = Web(Starlette(routes=routes), 0)
            web.start()
            stack.push_async_callback(web.stop)
            served = Served(web.url, state)
            await until_stored(served, "at first", EVENT)
            return served

        yield serve


async def until_stored(served: Served, seed: str, *events: object) -> None:
    """Send the same request until it is answered with 200: a busy machine may stand still for longer than a test has
    patience.
    """

    async def is_stored() -> bool:
        answer = await served.ask("POST", "/e/any", list(events), x_inngest_event_id_seed=seed)
        return answer.status_code == 200

    await eventually(is_stored, what="the events are stored")


@asynccontextmanager
async def stuck(state: State) -> AsyncIterator[None]:
    """The database stores no event until the end of the block."""
    conn = await state.connect(state.url)
    async with conn.transaction():
        await conn.execute("lock table cdc_state.events in access exclusive mode")
        yield


async def transactions(state: State, number: int) -> None:
    """Returns once so many are under way."""
    await eventually(lambda: state.one(f"select count(*) = {number} {WAITING}"), what="the transaction is under way")


async def test_what_does_not_fit_in_is_refused_at_once_and_what_was_taken_is_stored_once(taking: Sending) -> None:
    room = Room(events=1000)
    served = await taking(room)

    async def post(number: int) -> httpx.Response:
        return await served.ask("POST", "/e/any", [EVENT] * 100, x_inngest_event_id_seed=f"seed-{number}")

    async with stuck(served.state):
        asked = {asyncio.create_task(post(number)): number for number in range(30)}
        await eventually(lambda: sum(each.done() for each in asked) == 21, what="what does not fit in is answered")
        assert room.events == 900
        refused = [each.result() for each in asked if each.done()]
        assert {(each.status_code, each.headers["retry-after"]) for each in refused} == {(503, "1")}
        assert all(FULL in each.json()["error"] and each.json()["ids"] == [] for each in refused)
        again = [number for each, number in asked.items() if each.done()]

    taken = [each for each in await asyncio.gather(*asked) if each.status_code == 200]
    assert len(taken) == 9
    taken += [await post(number) for number in again]
    ids = [id_ for each in taken for id_ in each.json()["ids"]]
    assert len(set(ids)) == 3000
    stored = await served.state.rows("select id::text from cdc_state.events")
    assert {row[0] for row in stored} > set(ids)
    assert len(stored) == 3001
    await eventually(lambda: (room.requests, room.events, room.size) == (0, 0, 0), what="all have left")


async def test_what_has_no_room_is_refused_before_it_is_read(taking: Sending) -> None:
    room = Room(size=1000)
    served = await taking(room)
    reader, writer = await asyncio.open_connection(urlsplit(served.url).hostname, urlsplit(served.url).port)
    head = ("POST /e/any HTTP/1.1", "host: localhost", "content-type: application/json", "content-length: 5000")
    writer.write("\r\n".join([*head, "", ""]).encode())
    answered = await reader.readuntil(b"\r\n\r\n")
    assert answered.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 1\r\n" in answered
    writer.close()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b" " * 100

    async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as client:
        answer = await client.post("/e/any", content=chunks(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (room.requests, room.size) == (0, 0)


async def test_nobody_waits_for_ever_and_each_is_told_whether_its_events_may_be_stored(taking: Sending) -> None:
    room = Room()
    served = await taking(room, patience=3.0)

    async def post(seed: str) -> httpx.Response:
        return await served.ask("POST", "/e/any", [EVENT, EVENT], x_inngest_event_id_seed=seed)

    async with stuck(served.state):
        under_way = asyncio.create_task(post("first"))
        await transactions(served.state, 1)
        second, first = await post("second"), await under_way
        assert [(each.status_code, each.headers["retry-after"]) for each in (first, second)] == [(503, "5")] * 2
        assert UNSURE in first.json()["error"], "its transaction is under way"
        assert NOTHING in second.json()["error"], "it was waiting for that one"
        assert room.events == 2, "what is under way still takes room"
    await eventually(lambda: room.events == 0, what="the transaction ends")
    assert (await served.state.counts())[0] == 3

    for seed in ("first", "second"):
        await until_stored(served, seed, EVENT, EVENT)
    assert (await served.state.counts())[0] == 5


async def test_a_connection_that_is_lost_meanwhile_loses_and_doubles_nothing(taking: Sending) -> None:
    served = await taking(Room())
    async with stuck(served.state):
        asked = asyncio.create_task(served.ask("POST", "/e/any", EVENT, x_inngest_event_id_seed="seed"))
        ended = f"select count(pg_terminate_backend(pid)) {WAITING}"
        await eventually(lambda: served.state.one(ended), what="its connection is ended")
        answer = await asked
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert UNSURE in answer.json()["error"]
    assert (await served.ask("POST", "/e/any", EVENT, x_inngest_event_id_seed="seed")).status_code == 200
    assert (await served.state.counts())[0] == 2


async def test_other_routes_answer_while_no_event_can_be_stored(served: Served) -> None:
    async with stuck(served.state):
        asked = []
        for number, count in enumerate((1, 600), 1):
            asked.append(asyncio.create_task(served.post("/e/any", [EVENT] * count)))
            await transactions(served.state, number)
        assert (await served.get("/livez"))[0] == 200
        assert (await served.get("/v1/functions"))[0] == 200
    assert [code for code, _ in await asyncio.gather(*asked)] == [200] * 2


async def test_a_request_that_comes_again_while_it_is_being_stored_is_stored_once(taking: Sending) -> None:
    served = await taking(Room())

    async def post(*seeds: str) -> list[Any]:
        answers = await asyncio.gather(
            *(served.post("/e/any", [EVENT] * 600, x_inngest_event_id_seed=seed) for seed in seeds)
        )
        return list(answers)

    async with stuck(served.state):
        first = asyncio.create_task(post("first"))
        await transactions(served.state, 1)
        second = asyncio.create_task(post("second"))
        await transactions(served.state, 2)
        again = asyncio.create_task(post("first", "second"))
    answers = [*await first, *await second]
    assert [code for code, _ in answers] == [200, 200]
    assert await again == answers
    assert (await served.state.counts())[0] == 1201


async def test_a_quiet_connection_gives_way_to_a_new_one(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(connections, "HEAD_WITHIN", 600.0)  # else those that say nothing are closed for that
    host, port = urlsplit(served.url).hostname, urlsplit(served.url).port
    lines = [await asyncio.open_connection(host, port) for _ in range(3)]
    assert (await served.get("/livez"))[0] == 200
    assert await lines[0][0].read() == b"", "the one that has been quiet for longest is closed"
    lines[2][1].write(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert (await lines[2][0].readline()).startswith(b"HTTP/1.1 200 ")
    for _, writer in lines:
        writer.close()
