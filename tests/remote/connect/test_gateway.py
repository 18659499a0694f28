"""Who may connect, and how connections end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import aiohttp
import pytest

from cdc.remote.connect import messages, tokens
from cdc.remote.connect.handshake import FLUSH
from cdc.remote.connect.messages import Kind
from tests.remote.connect.conftest import PATIENT, Reach
from tests.remote.connect.scripted import Scripted
from tests.waiting import eventually


async def refused(worker: Scripted) -> str:
    """Why."""
    reason: str = (await worker.hear(Kind.SYNC_FAILED)).message
    assert (await worker.socket.receive()).type is aiohttp.WSMsgType.CLOSE
    return reason


async def test_the_service_tells_where_the_gateway_is_by_the_name_it_was_asked_by(reach: Reach) -> None:
    assert b"ws://cdc.internal:" in await reach.desk.start("cdc.internal:8288", time.time())
    assert b"wss://[::1]:" in await reach.desk.start("[::1]", time.time(), secure=True)


@pytest.mark.parametrize("token", ["", "1.ff", f"{10**10}.{'0' * 64}", "x.é"])
async def test_a_worker_without_tokens_of_ours_is_not_let_in(reach: Reach, token: str) -> None:
    worker = Scripted(reach)
    started = await worker.start()
    await worker.open(started.gateway_endpoint)
    started.session_token = token
    await worker.introduce(started)
    assert "start the connection again" in await refused(worker)
    assert not reach.registered
    await worker.__aexit__(None, None, None)


async def test_tokens_are_good_for_one_purpose_one_connection_and_a_while() -> None:
    key, now = tokens.key_of("a secret"), time.time()
    token = tokens.issue(key, "session", "c1", now)
    assert tokens.is_good(key, token, "session", "c1", now + tokens.LASTS - 1)
    assert not tokens.is_good(key, token, "session", "c1", now + tokens.LASTS + 1)
    assert not tokens.is_good(key, token, "sync", "c1", now)
    assert not tokens.is_good(key, token, "session", "c2", now)
    assert not tokens.is_good(tokens.key_of("another"), token, "session", "c1", now)


async def test_a_worker_hears_what_is_wrong_with_its_functions(reach: Reach) -> None:
    for functions, why in ((b"[]", "no such trigger"), (b"[", "no JSON")):
        worker = Scripted(reach)
        started = await worker.start()
        await worker.open(started.gateway_endpoint)
        reach.refuses = why
        await worker.introduce(started, functions)
        assert why in await refused(worker)
        await worker.__aexit__(None, None, None)


@pytest.mark.parametrize("times", [replace(PATIENT, handshake=1.0)])
@pytest.mark.parametrize("first", [None, b"\xff\xff"])
async def test_who_does_not_say_at_once_who_it_is_is_hung_up_on(reach: Reach, first: bytes | None) -> None:
    worker = Scripted(reach)
    await worker.open((await worker.start()).gateway_endpoint)
    if first is not None:
        await worker.socket.send_bytes(first)
    await refused(worker)
    await worker.__aexit__(None, None, None)


async def test_a_worker_that_first_speaks_of_calls_it_still_has_is_let_in(reach: Reach) -> None:
    worker = Scripted(reach)
    started = await worker.start()
    await worker.open(started.gateway_endpoint)
    await worker.say(Kind.EXTEND_LEASE, messages.ExtendLease(request_id="r1"))
    await worker.introduce(started)
    await worker.hear(Kind.CONNECTION_READY)
    await worker.__aexit__(None, None, None)


async def test_a_message_that_is_none_ends_the_connection(reach: Reach) -> None:
    async with Scripted(reach) as worker:
        await worker.socket.send_bytes(b"\xff\xff")
        assert (await worker.socket.receive()).type is aiohttp.WSMsgType.CLOSE
        await eventually(lambda: not reach.connections.connected("shop"))


async def test_a_sign_of_life_is_answered_and_a_silent_worker_dropped(reach: Reach) -> None:
    async with Scripted(reach) as worker:
        await worker.say(Kind.WORKER_HEARTBEAT)
        await worker.hear(Kind.GATEWAY_HEARTBEAT)
        (connection,) = reach.connections.open
        connection.heard -= 3600
        reach.gateway.drop_silent()
        await eventually(lambda: not reach.connections.connected("shop"))


@pytest.mark.parametrize("times", [replace(PATIENT, sending=1.0)])
async def test_a_worker_that_does_not_read_is_dropped(reach: Reach) -> None:
    async with Scripted(reach):
        (connection,) = reach.connections.open
        large = messages.ExecutorRequest(request_payload=bytes(2**20))
        sending = [asyncio.create_task(connection.send(Kind.EXECUTOR_REQUEST, large)) for _ in range(32)]
        assert not all(await asyncio.gather(*sending))
        await eventually(lambda: not reach.connections.connected("shop"))


async def test_workers_are_sent_elsewhere_when_the_service_ends(reach: Reach) -> None:
    async with Scripted(reach) as worker:
        ending = asyncio.create_task(reach.gateway.close())
        await worker.hear(Kind.GATEWAY_CLOSING)
        last = await worker.socket.receive()
        assert last.extra == "connect_gateway_closing"
        await ending


async def test_only_the_service_passes_replies_on(reach: Reach) -> None:
    body = messages.Reply(request_id="r1").SerializeToString()
    url = f"http://127.0.0.1:{reach.gateway.port}/v0/connect/flush"
    async with aiohttp.ClientSession() as client:
        for given in ("", tokens.issue(b"not our key", FLUSH, "", time.time())):
            async with client.post(url, data=body, headers={"authorization": given}) as answer:
                assert answer.status == 401
