"""An event API of a cluster, in memory, over real HTTP."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web


class Receiver:
    """`requests` are the events of each request that was accepted. What it answers otherwise is set by the test:
    `status` to all, `refuses` ids of events that it never takes, `reads_gzip`, `held` while which it does not answer.
    """

    def __init__(self) -> None:
        self.url = ""
        self.keys: list[str] = []
        self.encodings: list[str] = []
        self.requests: list[list[dict[str, Any]]] = []
        self.asked = 0
        self.status = 200
        self.retry_after: str | None = None
        self.refuses: set[str] = set()
        self.tells_taken = False
        self.reads_gzip = True
        self.held: asyncio.Event | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for request in self.requests for event in request]

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    async def _take(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.held is not None:
            await self.held.wait()
        if self.status != 200:
            headers = {"retry-after": self.retry_after} if self.retry_after else None
            return web.json_response({"error": "not now", "status": self.status}, status=self.status, headers=headers)
        body = await request.content.read()
        if request.headers.get("content-encoding") == "gzip":
            if not self.reads_gzip:
                return web.json_response({"ids": [], "status": 400, "error": "not JSON"}, status=400)
            body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        events = orjson.loads(body)
        taken = events
        for place, event in enumerate(events):
            if event["id"] in self.refuses:
                taken = events[:place] if self.tells_taken else []
                break
        self.keys.append(request.match_info["key"])
        self.encodings.append(request.headers.get("content-encoding", ""))
        if taken:
            self.requests.append(taken)
        ids = [event["id"] for event in taken]
        if len(taken) < len(events):
            return web.json_response({"ids": ids, "status": 400, "error": "odd event"}, status=400)
        return web.json_response({"ids": ids, "status": 200})


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/e/{key}", receiver._take)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()
