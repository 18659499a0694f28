"""`cdc run` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import orjson

from tests.benchmarks.ground import ROOT

_START_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """A service that listens. `listening_at` is when it began to, in seconds since the epoch; its API is at `url`."""

    pid: int
    listening_at: float
    url: str


def environment(url: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Ours without anything that would set up the service, and these settings."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("CDC_", "OPENAI_", "PG"))}
    return {**ours, "DATABASE_URL": url, "CDC_PORT": "0", "CDC_LOG_FORMAT": "json", **settings}


@asynccontextmanager
async def service(url: str, **settings: str) -> AsyncIterator[Service]:
    """Run the service on a database until the block ends; `settings` are further variables of its environment."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cdc", "run", cwd=ROOT, env=environment(url, settings), stderr=PIPE
    )
    assert process.stderr is not None, "it has a pipe"
    try:
        async with asyncio.timeout(_START_WITHIN):
            listening_at, url = await _ready(process.stderr)
        rest = asyncio.create_task(process.stderr.read())  # the pipe must not fill up
        yield Service(process.pid, listening_at, url)
        assert process.returncode is None, f"the service ended:\n{(await rest).decode()}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _ready(stderr: asyncio.StreamReader) -> tuple[float, str]:
    """When it began to listen, and where its API is: it tells the latter when all of it is ready."""
    log, listening_at = b"", 0.0
    async for line in stderr:
        log += line
        if b'"event": "listening"' in line:
            listening_at = datetime.fromisoformat(orjson.loads(line)["timestamp"]).timestamp()
        elif b'"event": "api"' in line and listening_at:
            return listening_at, orjson.loads(line)["url"]
    raise AssertionError(f"the service does not listen:\n{log.decode()}")
