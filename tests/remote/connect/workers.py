"""Workers of the SDKs: processes that connect.

WORKERS   their kinds
worker    one, for the length of a block
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.sdk.packages import FOLDER, node

_START_WITHIN = 60.0

WORKERS = {
    "py": (sys.executable, "-m", "tests.remote.connect.python_worker"),
    "js3": (str(node()), "--experimental-websocket", "--conditions=v3", "--import", "tsx", "connected.ts"),
    "js4": (str(node()), "--experimental-websocket", "--import", "tsx", "connected.ts"),
}


@asynccontextmanager
async def worker(kind: str, url: str) -> AsyncIterator[None]:
    """A process with an app of this name, connected; ended politely."""
    process = await asyncio.create_subprocess_exec(
        *WORKERS[kind],
        url,
        cwd=None if kind == "py" else FOLDER,
        env={**os.environ, "APP": kind, "INNGEST_DEV": url},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        while (line := await asyncio.wait_for(process.stdout.readline(), _START_WITHIN)) != b"up\n":
            assert line, "it ended"
        yield
    finally:
        process.terminate()
        await process.communicate()
