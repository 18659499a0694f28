"""The file that CDC_SOURCES may name: followed while the service runs, and read again on SIGHUP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from watchfiles import awatch

from cdc.errors import ConfigurationError
from cdc.service.named import Named
from cdc.service.parts import cancel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger(__name__)

_STEP = 100
"""Milliseconds without a further change after which the file is read."""


async def follow_forever(
    file: Path, read: Callable[[], Sequence[Named]], change: Callable[[Sequence[Named]], Awaitable[None]]
) -> None:
    """Call `change` with the sources of the file now, and whenever it may have changed. One that cannot be used changes
    nothing.
    """
    told = ""
    async with _changes(file) as changed:
        while True:
            await changed.wait()
            changed.clear()
            try:
                sources = read()
            except ConfigurationError as error:
                if told != str(error):
                    log.error(  # noqa: TRY400 - it is a person's mistake
                        "sources stay as they are", file=str(file), reason=error.message, hint=error.hint
                    )
                told = str(error)
            else:
                told = ""
                await change(sources)


@asynccontextmanager
async def _changes(file: Path) -> AsyncIterator[asyncio.Event]:
    """Set when the file may have changed. Its folder is watched: files are replaced by others of the same name, and
    those that a container has mounted are links.
    """
    changed = asyncio.Event()

    async def watch() -> None:
        async for _ in awatch(file.parent, recursive=False, step=_STEP):
            changed.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, changed.set)
    watching = asyncio.create_task(watch(), name="file of sources")
    try:
        await asyncio.sleep(0)  # what is written from here on is seen
        changed.set()
        yield changed
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        await cancel(watching)
