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

WORKERS = ("py", "js3", "js4")


@asynccontextmanager
async def worker(kind: str, url: str, key: str | None = None) -> AsyncIterator[None]:
    """A process with an app of this name, connected; ended politely. With a signing `key` not in development."""
    service = {"INNGEST_BASE_URL": url, "INNGEST_SIGNING_KEY": key} if key else {"INNGEST_DEV": url}
    process = await asyncio.create_subprocess_exec(
        *_command(kind),
        cwd=None if kind == "py" else FOLDER,
        env={**os.environ, "APP": kind, **service},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_WITHIN):
            while (line := await process.stdout.readline()) != b"up\n":
                assert line, "it ended"
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def _command(kind: str) -> list[str]:
    if kind == "py":
        return [sys.executable, "-m", "tests.remote.connect.python_worker"]
    version = ["--conditions=v3"] if kind == "js3" else []
    return [str(node()), "--experimental-websocket", *version, "--import", "tsx", "connected.ts"]
