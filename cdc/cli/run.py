"""`cdc run`: the service."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

import structlog

from cdc import config, telemetry
from cdc.config import Settings
from cdc.service import child, parent
from cdc.service.database import own_postgres

log = structlog.get_logger(__name__)

_PUSH = 0.1
"""Seconds that each part has to end in after the second signal."""


def run() -> int:
    """Watch DATABASE_URL and run functions, until SIGTERM or Ctrl-C.

    Without DATABASE_URL a Postgres of its own is started on this machine. Settings come from the environment:
    docs/configuration.md.
    """
    settings = config.load()
    telemetry.configure(settings.log_level, settings.log_format)
    return asyncio.run(_until_signalled(settings))


def worker() -> int:
    """Execute functions for a parent: started by `cdc run`, not by people."""
    settings = config.load()
    telemetry.configure(settings.log_level, settings.log_format, process="worker")
    return asyncio.run(child.run(settings))


async def _until_signalled(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; a second one does not wait for runs in flight to end."""
    serving = asyncio.create_task(_serve(settings))
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if serving.cancelling():  # each part that is waited for takes a push of its own
            loop.call_later(_PUSH, stop)
        serving.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await serving
    except asyncio.CancelledError:
        log.info("stopped")
    return 0


async def _serve(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        if settings.database_url is not None:
            url = settings.database_url.get_secret_value()
        else:
            url = await stack.enter_async_context(own_postgres(settings.data_dir))
        await parent.run(settings, url, started=lambda address: log.info("api", url=address))
