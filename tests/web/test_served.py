"""How the server listens, and what a connection may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from cdc.errors import ConfigurationError
from cdc.web.guard import connections
from cdc.web.guard.connections import MOST_HEAD
from cdc.web.server import Web

HERE = PlainTextResponse("here")
LEAST = b"GET / HTTP/1.1\r\nhost: x\r\n"


@asynccontextmanager
async def serving(host: str = "127.0.0.1", app: ASGIApp = HERE) -> AsyncIterator[Web]:
    web = Web(app, 0, host=host)
    web.start()
    try:
        yield web
    finally:
        await web.stop()


@pytest.mark.parametrize(
    ("host", "asked"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]"), ("::", "127.0.0.1")],
)
async def test_it_listens_where_it_is_told_to(host: str, asked: str) -> None:
    async with serving(host) as web:
        url = httpx.URL(web.url)
        assert url.host == host
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            assert (await client.get(f"http://{asked}:{url.port}/")).text == "here"


async def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be used on 192\.0\.2\.1") as refusal:
        Web(PlainTextResponse(""), 0, host="192.0.2.1").start()
    assert "CDC_HOST" in refusal.value.hint


async def said(web: Web, *packets: bytes) -> bytes:
    """All that is answered to these bytes until the connection is closed; empty: nothing was."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(web.url.rpartition(":")[2]))
    try:
        for packet in packets:
            writer.write(packet)
            await writer.drain()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_failure_is_answered_with_the_headers_of_all_answers() -> None:
    async def fail(request: Request) -> Response:
        raise RuntimeError("as it may happen")

    async with serving(app=Starlette(routes=[Route("/", fail)])) as web:
        async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=60) as client:
            answer = await client.get("/")
        assert answer.status_code == 500
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "as it may happen" not in answer.text


async def test_headers_that_do_not_end_are_not_kept() -> None:
    async with serving() as web:
        answer = await said(web, LEAST, b"x: " + b"a" * (MOST_HEAD + 300_000))
        assert answer.startswith(b"HTTP/1.1 400 ") or answer == b""


@pytest.mark.parametrize("sent", [b"", LEAST, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc"])
async def test_who_does_not_say_what_it_wants_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    # Who has said what it wants is answered before it is hung up on, however busy the machine is.
    if b"POST" in sent:
        monkeypatch.setattr(connections, "BODY_WITHIN", 0.5)
    else:
        monkeypatch.setattr(connections, "HEAD_WITHIN", 0.05)
    async with serving() as web:
        answer = await said(web, *([sent] if sent else []))
        assert answer == b"" if b"POST" not in sent else answer.startswith(b"HTTP/1.1 200 ")


async def test_a_connection_is_used_again_and_closed_by_nobody_but_who_opened_it() -> None:
    async with serving() as web, httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=60) as client:
        for _ in range(3):
            assert (await client.post("/", content=b"x" * 200_000)).text == "here"
