"""The apps themselves, with nobody who calls them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.ai_server import AIServer
from tests.sdk.apps import KINDS, started

ONLY_IN_TYPESCRIPT = {"wraps", "fetches", "signalled", "signals"}
ONLY_IN_VERSION_4 = {"defers", "later"}


@pytest.fixture
async def registered() -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """The URL of a server that takes registrations, and what it took."""
    taken: list[dict[str, Any]] = []

    async def register(request: Request) -> JSONResponse:
        taken.append({name.lower().replace("_", ""): value for name, value in (await request.json()).items()})
        return JSONResponse({"ok": True, "modified": True})

    async with AIServer() as server:
        server.app.routes.append(Route("/fn/register", register, methods=["POST"]))
        yield server.root, taken


async def test_all_apps_are_the_same_app(registered: tuple[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    url, taken = registered
    offered = {}
    for kind in KINDS:
        async with started(kind, url, tmp_path / kind) as app, httpx.AsyncClient(trust_env=False, timeout=60) as client:
            told = (await client.get(app.url)).json()
            await app.sync()
        synced = taken.pop()
        assert (synced["appname"], told["mode"], told["has_signing_key"]) == (kind, "dev", False)
        offered[kind] = {function["id"].removeprefix(f"{kind}-") for function in synced["functions"]}
    assert offered["js3"] | ONLY_IN_VERSION_4 == offered["js4"] == offered["js4-classic"]
    assert offered["py"] == offered["js3"] - ONLY_IN_TYPESCRIPT
