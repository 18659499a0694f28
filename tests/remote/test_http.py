"""Calls of apps over HTTP: what reaches them, and what becomes of it when they misbehave."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from cdc.remote import pool
from cdc.remote.addresses import allowed
from cdc.remote.answer import Answer, Planned, Returned, Threw, Unreached
from cdc.remote.breaker import PATIENCE
from cdc.remote.call import App, Call
from cdc.remote.http import Http
from cdc.remote.reading import LARGEST_BODY
from cdc.remote.signing import is_signed
from cdc.remote.traffic import Traffic
from tests.remote.rude import SDK, Received, ok, reset, serving
from tests.waiting import eventually

EVENT = {"id": "e", "name": "a/b", "data": {}, "ts": 1}
CALL = Call("R", "app-fn", [EVENT], {}, ())
KEY, OLD = "signkey-prod-" + "ab" * 16, "signkey-prod-" + "cd" * 16


def caller(*keys: str, entries: str = "", development: bool = True, timeout: float = 60.0, limit: int = 500) -> Http:
    return Http(keys, allowed(entries), development=development, timeout=timeout, limit=limit)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the machine stands still, a connection is kept, and one that is lost was lost at once."""
    monkeypatch.setattr(pool, "KEPT", 600.0)
    monkeypatch.setattr(pool, "_AT_ONCE", 600.0)


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with caller() as made:
        yield made


def app(url: str | None, name: str = "app") -> App:
    return App(name, url)


def threw(answer: Answer, words: str) -> Threw:
    assert isinstance(answer, Threw), answer
    assert words in answer.error["message"]
    return answer


def unreached(answer: Answer, words: str) -> Unreached:
    assert isinstance(answer, Unreached), answer
    assert words in answer.reason
    return answer


@pytest.mark.usefixtures("kept")
async def test_calls_share_a_connection_and_say_what_to_run(http: Http) -> None:
    async def reply(received: Received) -> bytes:
        return ok(b"[]", "206 Partial Content") if received.number == 0 else ok(b'{"a":1}')

    async with serving(reply) as server:
        at = app(f"{server.url}/api/inngest?x=1")
        assert await http.call(at, CALL) == Planned((), version=2)
        assert await http.call(at, CALL) == Returned({"a": 1})
        assert server.connections == 1
        first = server.received[0]
        assert first.target == "/api/inngest?x=1&fnId=app-fn&stepId=step"
        assert first.headers["host"] == f"127.0.0.1:{server.port}"
        assert json.loads(first.body)["ctx"]["run_id"] == first.headers["x-run-id"] == "R"
        assert "x-inngest-signature" not in first.headers


async def test_a_name_is_called_at_any_of_its_addresses(http: Http) -> None:
    async def reply(received: Received) -> bytes:
        return ok()

    async with serving(reply) as server:  # which does not listen on ::1
        assert await http.call(app(f"http://localhost:{server.port}"), CALL) == Returned(1)
        assert server.received[0].headers["host"] == f"localhost:{server.port}"


@pytest.mark.parametrize(
    "refusal",
    [
        ok(b"{}", "401 Unauthorized", "x-inngest-sdk-handled: true\r\n"),
        ok(b"{}", "401 Unauthorized"),
        ok(b'   {"status":401,"headers":{},"body":"{}"}', "201 Created"),
    ],
)
async def test_an_app_that_knows_only_the_old_key_is_asked_twice_once(refusal: bytes) -> None:
    async def reply(received: Received) -> bytes:
        signed = is_signed(received.body, received.headers["x-inngest-signature"], [OLD], time.time())
        return ok() if signed else refusal

    async with serving(reply) as server, caller(KEY, OLD, entries="127.0.0.1", development=False) as http:
        assert await http.call(app(server.url), CALL) == Returned(1)
        assert len(server.received) == 2
        assert await http.call(app(server.url), CALL) == Returned(1)
        assert len(server.received) == 3
    async with serving(reply) as server, caller(KEY, entries="127.0.0.1", development=False) as http:
        threw(await http.call(app(server.url), CALL), "CDC_SIGNING_KEY")
        assert len(server.received) == 1


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_kept_connection_that_was_closed_meanwhile_is_no_lost_call(http: Http, how: str) -> None:
    async def reply(received: Received) -> bytes | None:
        if received.number == 0:
            return ok()
        if how == "reset":
            reset(received)
        return None

    async with serving(reply) as server:
        assert await http.call(app(server.url), CALL) == Returned(1)
        assert await http.call(app(server.url), CALL) == Returned(1)
        assert [(each.connection, each.number) for each in server.received] == [(0, 0), (0, 1), (1, 0)]


async def test_a_call_that_was_delivered_and_lost_counts_and_is_not_repeated(http: Http) -> None:
    async def closes(received: Received) -> bytes | None:
        return None

    async def breaks_off(received: Received) -> bytes | None:
        received.writer.write(f"HTTP/1.1 200 OK\r\n{SDK}content-length: 100\r\n\r\n123".encode())
        await received.writer.drain()
        return None

    async def babbles(received: Received) -> bytes:
        return b"hello?\r\n\r\n"

    for reply, words in ((closes, "before it answered"), (breaks_off, "in the middle"), (babbles, "no HTTP")):
        async with serving(reply) as server:
            threw(await http.call(app(server.url), CALL), words)
            assert len(server.received) == 1


async def test_an_answer_that_does_not_come_is_lost_and_one_that_is_slow_is_not() -> None:
    async def reply(received: Received) -> bytes:
        if "never" in received.target:
            await asyncio.Event().wait()
        for byte in ok(b"[" + b" " * 50 + b"1]")[:-2]:
            received.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        return b"1]"

    async with serving(reply) as server, caller(timeout=0.3) as hasty, caller() as http:
        threw(await hasty.call(app(f"{server.url}/never"), CALL), "within 0.3 seconds")
        assert await http.call(app(f"{server.url}/slow"), CALL) == Returned([1])


async def test_answers_are_unpacked_and_never_larger_than_the_limit(http: Http) -> None:
    large = b'"' + b"x" * LARGEST_BODY + b'"'

    async def reply(received: Received) -> bytes | None:
        if "gzip" in received.target:
            return ok(
                gzip.compress(b"[1]" if "small" in received.target else large),
                headers=f"{SDK}content-encoding: gzip\r\n",
            )
        if "endless" in received.target:
            received.writer.write(f"HTTP/1.1 200 OK\r\n{SDK}transfer-encoding: chunked\r\n\r\n".encode())
            while not received.writer.is_closing():
                received.writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                await received.writer.drain()
        return ok(large)

    async with serving(reply) as server:
        assert await http.call(app(f"{server.url}/gzip/small"), CALL) == Returned([1])
        for path in ("gzip", "endless", "large"):
            assert threw(await http.call(app(f"{server.url}/{path}"), CALL), "larger than").no_retry


async def test_redirects_are_not_followed(http: Http) -> None:
    async def reply(received: Received) -> bytes:
        return ok(b"", "307 Temporary Redirect", "location: /elsewhere\r\n")

    async with serving(reply) as server:
        threw(await http.call(app(server.url), CALL), "redirects")
        assert len(server.received) == 1


async def test_what_may_not_be_called_gets_no_byte() -> None:
    async def reply(received: Received) -> bytes:
        return ok()

    async with serving(reply) as server:
        for entries, development in (("", False), ("example.com", True), ("*.localhost", False)):
            async with caller(entries=entries, development=development) as http:
                for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "2130706433", "x.localhost"):
                    unreached(await http.call(app(f"http://{host}:{server.port}", host), CALL), "cannot be called")
        assert not server.received


async def test_an_app_out_of_reach_is_no_attempt_and_then_left_alone(http: Http) -> None:
    http.traffic = Traffic(500, now=lambda: 1000.0)  # no second passes, however long this takes
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        away = app(f"http://127.0.0.1:{reserved.getsockname()[1]}/?secret=x")
        for _ in range(PATIENCE):
            assert "secret" not in unreached(await http.call(away, CALL), "refuses connections").reason
        unreached(await http.call(away, CALL), "tried again in")
        assert http.traffic.full() == {"app"}
        assert 0 < (http.traffic.reopens_in() or 0) <= 1
    unreached(await http.call(app(None, "other"), CALL), "not connected")
    unreached(await http.call(app("http://no-such-name.invalid", "third"), CALL), "cannot be called")


def _own_certificate(at: Path) -> ssl.SSLContext:
    key, certificate = at / "key.pem", at / "certificate.pem"
    made = ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=127.0.0.1"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-x509", "-days", "1"]
    subprocess.run(["openssl", "req", *kind, *made], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_server_without_tls_or_with_a_certificate_of_its_own_is_not_reached(http: Http, tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def reply(received: Received) -> bytes:
        return ok()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as plain:
        port = plain.sockets[0].getsockname()[1]
        unreached(await http.call(app(f"https://127.0.0.1:{port}"), CALL), "TLS")
    async with serving(reply, tls=_own_certificate(tmp_path)) as server:
        unreached(await http.call(app(f"https://127.0.0.1:{server.port}"), CALL), "certificate")
        assert not server.received


async def test_a_slow_app_holds_up_none_but_itself() -> None:
    release = asyncio.Event()

    async def slow(received: Received) -> bytes:
        await release.wait()
        return ok()

    async def quick(received: Received) -> bytes:
        return ok()

    async with serving(slow) as one, serving(quick) as other, caller(limit=3) as http:
        calls = [asyncio.create_task(http.call(app(one.url, "slow"), CALL)) for _ in range(5)]
        await eventually(lambda: len(one.received) == 3)
        assert http.traffic.room("slow") == 0
        assert await http.call(app(other.url, "quick"), CALL) == Returned(1)
        assert http.traffic.full() == {"slow"}
        assert len(one.received) == 3
        release.set()
        assert await asyncio.gather(*calls) == [Returned(1)] * 5
        assert (http.traffic.room("slow"), http.traffic.in_flight("slow")) == (3, 0)


async def test_hundreds_of_calls_are_under_way_at_once() -> None:
    arrived = 0
    all_here = asyncio.Event()

    async def reply(received: Received) -> bytes:
        nonlocal arrived
        arrived += 1
        if arrived == 400:
            all_here.set()
        await all_here.wait()
        return ok(received.headers["x-run-id"].encode())

    async with serving(reply) as server, caller(limit=400, timeout=60) as http:

        async def one(number: int) -> Any:
            return await http.call(app(server.url), Call(str(number), "f", [EVENT], {}, ()))

        assert await asyncio.gather(*map(one, range(400))) == [Returned(number) for number in range(400)]
