"""What functions publish reaches who listens with the right token, here and at other replicas, and nobody else."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette

from cdc.remote.realtime import grants
from cdc.remote.realtime.grants import NoGrant
from cdc.remote.realtime.hub import Hub, Listener, Published, TooSlow, Topic
from cdc.remote.routes.realtime import Realtime, routes
from cdc.service.relaying import Relay
from cdc.store.connect import connect as connected
from cdc.web.app import app
from cdc.web.guard.terms import Terms
from cdc.web.server import Web
from cdc.web.site import Site
from cdc.web.status import Status, Statuses
from tests.sdk.packages import FOLDER, node
from tests.waiting import eventually

KEY = grants.key_of("a secret")
SAID = Topic("room", "said")
TERMS = Terms(token="the token of the dashboard", reading=("the hash of a key",))
BEARER = {"authorization": "Bearer the hash of a key"}


@asynccontextmanager
async def served(hub: Hub, terms: Terms = TERMS) -> AsyncIterator[str]:
    """The routes behind the gate of the service; where."""
    site = Site(Statuses(Status("default", "cdc", "cdc")), connection=lambda: pytest.fail("not asked"), terms=terms)
    web = Web(app(site, sdk=routes(Realtime(hub, KEY, site.stopping))), 0)
    web.start()
    try:
        yield web.url
    finally:
        site.stopping.set()
        await web.stop()


async def test_what_is_published_reaches_sockets_and_streams_that_may_hear_it() -> None:
    async with served(Hub()) as url, aiohttp.ClientSession(url) as client:
        asked = [{"channel": "room", "name": "said", "kind": "run"}]
        async with client.post("/v1/realtime/token", json=asked, headers=BEARER) as answer:
            assert answer.status == 201
            token = (await answer.json())["jwt"]
        async with (
            client.ws_connect("/v1/realtime/connect", params={"token": token}) as socket,
            client.get("/v1/realtime/sse", params={"token": token}) as stream,
        ):
            assert stream.headers["access-control-allow-origin"] == "*"
            assert await stream.content.readuntil(b"\n\n") == b"retry: 2000\n\n"
            for where, body, kind in (
                ("channel=room&topic=other", b"1", "application/json"),
                ("channel=elsewhere&topic=said", b"1", "application/json"),
                ("channel=room&topic=said&run_id=r1", b'{"n": 1}', "application/json"),
                ("channel=room&topic=said", b"no JSON", "application/json"),
                ("channel=room&topic=said", "piece é".encode(), "text/stream"),
            ):
                headers = {**BEARER, "content-type": kind}
                async with client.post(f"/v1/realtime/publish?{where}", data=body, headers=headers) as answer:
                    assert answer.status == 200
            heard = [await socket.receive_json(timeout=60) for _ in range(5)]
            streamed = [json.loads((await stream.content.readuntil(b"\n\n"))[6:]) for _ in range(5)]
        assert heard == streamed
        assert {(each["channel"], each["topic"]) for each in heard} == {("room", "said")}
        first, second, begin, piece, end = heard
        assert (first["kind"], first["data"], first["run_id"]) == ("data", {"n": 1}, "r1")
        assert (second["kind"], second["data"]) == ("data", "no JSON")
        assert (begin["kind"], piece["kind"], end["kind"]) == ("datastream-start", "chunk", "datastream-end")
        assert begin["data"] == piece["stream_id"] == end["data"]
        assert piece["data"] == "piece é"


async def test_who_reads_the_first_line_of_a_stream_misses_nothing_from_then_on() -> None:
    hub = Hub()
    sent: asyncio.Queue[bytes] = asyncio.Queue()
    token = grants.grant(KEY, [SAID], time.time())
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/v1/realtime/sse", "headers": []}
    scope |= {"query_string": f"token={token}".encode()}

    async def send(message: Any) -> None:
        if message.get("body", b"").startswith(b"retry:"):
            hub.publish(Published(SAID, "1"))
        sent.put_nowait(message.get("body", b""))

    async def receive() -> Any:
        return await asyncio.Event().wait()

    at = Starlette(routes=routes(Realtime(hub, KEY, asyncio.Event())))
    answering = asyncio.create_task(at(scope, receive, send))
    heard = [await asyncio.wait_for(sent.get(), 60) for _ in range(3)]
    answering.cancel()
    await asyncio.wait({answering})
    assert heard == [b"", b"retry: 2000\n\n", b"data: 1\n\n"]


async def test_what_an_app_streams_is_heard_while_it_comes_and_no_faster_than_it_is_read() -> None:
    hub = Hub()
    heard: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def body() -> AsyncIterator[bytes]:
        while (chunk := await heard.get()) is not None:
            yield chunk

    async with served(hub, Terms()) as url, aiohttp.ClientSession(url) as client:
        with hub.listening([Topic("run-1", "$stream")]) as listener:
            posting = asyncio.create_task(client.post("/v1/realtime/publish/tee?channel=run-1", data=body()))
            heard.put_nowait(b"event: a\n\xc3")
            began, first = [json.loads(await asyncio.wait_for(listener.next(), 60)) for _ in range(2)]
            assert (began["kind"], began["topic"]) == ("datastream-start", "$stream")
            assert (first["kind"], first["data"], first["stream_id"]) == ("chunk", "event: a\n", began["data"])
            heard.put_nowait(b"\xa9" + bytes(6_000_000))
            heard.put_nowait(None)
            length = 0
            while (message := json.loads(await asyncio.wait_for(listener.next(), 60)))["kind"] == "chunk":
                length += len(message["data"])
            assert length == 6_000_001, "more than may wait for one listener at a time"
            assert (message["kind"], message["data"]) == ("datastream-end", began["data"])
            assert (await posting).status == 200
        async with client.post("/v1/realtime/publish/tee") as answer:
            assert answer.status == 400


async def test_who_has_no_key_publishes_nothing_and_who_has_no_token_hears_nothing() -> None:
    async with served(Hub()) as url, aiohttp.ClientSession(url) as client:
        for path in ("publish?channel=room&topic=said", "publish/tee?channel=room", "token"):
            async with client.post(f"/v1/realtime/{path}", json=[]) as answer:
                assert answer.status == 401
        async with client.get("/v1/realtime/sse?token=x.y.z") as answer:
            assert answer.status == 401
        for path in ("/v1/realtime/connect?token=x.y.z", "/v1/realtime/connect", "/live"):
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await client.ws_connect(path, headers=BEARER)


@pytest.mark.parametrize("path", ["publish?channel=room", "publish?topic=said", "token"])
async def test_what_names_no_topic_is_refused(path: str) -> None:
    async with served(Hub(), Terms()) as url, aiohttp.ClientSession(url) as client:
        async with client.post(f"/v1/realtime/{path}", json=[]) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]
        async with client.post("/v1/realtime/publish?channel=room&topic=said", data=b'"' + b"x" * 600_000) as answer:
            assert answer.status == 413


def test_a_token_is_good_for_its_topics_and_a_while() -> None:
    now = 1_800_000_000
    token = grants.grant(KEY, [SAID], now)
    assert grants.granted(KEY, token, now + grants.LASTS) == {SAID}
    header, claims, signature = token.split(".")
    for wrong in ("", "..", f"{header}.{claims}.", f"e30.{claims}.{signature}", f"{header}.{claims}é.{signature}"):
        with pytest.raises(NoGrant):
            grants.granted(KEY, wrong, now)
    for key, at in ((grants.key_of("another"), now), (KEY, now + grants.LASTS + 2)):
        with pytest.raises(NoGrant):
            grants.granted(key, token, at)


async def test_a_listener_that_does_not_read_is_let_go_and_the_others_hear_all() -> None:
    hub = Hub()
    with hub.listening([SAID]) as slow, hub.listening([SAID]) as quick:
        heard = []
        for number in range(3000):
            hub.publish(Published(SAID, str(number)))
            heard.append(await quick.next())
        assert heard == [str(number) for number in range(3000)]
        with pytest.raises(TooSlow):
            await slow.next()


async def test_what_is_published_at_one_replica_is_heard_at_another(migrated_url: str) -> None:
    async with AsyncExitStack() as stack:
        here, there = [await relay(stack, migrated_url) for _ in range(2)]
        with here.listening([SAID]) as near, there.listening([SAID]) as far:
            await _is_heard(here, far)
            large = json.dumps("😀" * 40_000, ensure_ascii=False)
            for text in ("1", large, "2"):
                here.publish(Published(SAID, text))
            heard = [await asyncio.wait_for(_next(far), 60) for _ in range(3)]
            assert heard == ["1", large, "2"]
            # Those who listen where it was published hear it once.
            assert [await _next(near) for _ in range(3)] == heard
            here.publish(Published(SAID, "3"))
            assert await _next(near) == "3"


async def relay(stack: AsyncExitStack, url: str) -> Hub:
    """A replica's hub."""
    made = Relay(lambda: connected(url, autocommit=True))
    tasks = [asyncio.create_task(made.tell_forever()), asyncio.create_task(made.hear_forever())]

    async def stop() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    stack.push_async_callback(stop)
    return made.hub


async def _is_heard(hub: Hub, far: Listener) -> None:
    """Wait until another replica listens."""

    async def heard() -> bool:
        hub.publish(Published(SAID, "trial"))
        with suppress(TimeoutError):
            return bool(await asyncio.wait_for(far.next(), 0.2))
        return False

    await eventually(heard)


async def _next(listener: Listener) -> str:
    while (text := await listener.next()) == "trial":
        pass
    return text


async def test_the_sdks_publish_and_listen() -> None:
    async with served(Hub(), Terms()) as url:
        command = (str(node()), "--experimental-websocket", "--import", "tsx", "listener.ts", url)
        listener = await asyncio.create_subprocess_exec(*command, cwd=FOLDER, stdout=PIPE)
        assert listener.stdout is not None
        try:
            assert await asyncio.wait_for(listener.stdout.readline(), 60) == b"up\n"
            publisher = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.remote.realtime.python_publisher", url), stdout=PIPE
            )
            out, _ = await publisher.communicate()
            token: dict[str, Any] = json.loads(out)
            assert grants.granted(KEY, token["key"], time.time()) == {SAID}
            heard = json.loads(await asyncio.wait_for(listener.stdout.readline(), 60))
            assert heard == {"channel": "room", "topic": "said", "kind": "data", "data": {"hello": "world"}}
        finally:
            listener.kill()
            await listener.communicate()
