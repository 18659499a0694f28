"""`cdc run`: the service."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Annotated, Any

import structlog
from cyclopts import Parameter

from cdc import config, telemetry
from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.service.database import own_postgres
from cdc.service.roles import ALL, Role

log = structlog.get_logger(__name__)

_PUSH = 0.1
"""Seconds that each part has to end in after the second signal."""


def run(*, only: Annotated[list[str] | None, Parameter(negative=())] = None, reload: bool = False) -> int:
    """Watch DATABASE_URL and run functions, until SIGTERM or Ctrl-C.

    Without DATABASE_URL a Postgres of its own is started on this machine. Settings come from the environment:
    docs/configuration.md.

    Args:
        only: do a part of it: listener, worker or web; repeat it or separate several by commas.
        reload: restart the workers when a function file changes; for development.
    """
    roles = _roles(only)
    if reload and "worker" not in roles:
        raise ConfigurationError("--reload restarts workers, and --only leaves them out.", hint="Take one of the two.")
    gc.disable()  # what is imported stays; `process.prepare` enables it
    settings = config.load()
    telemetry.configure(settings.log_level, settings.log_format)
    return asyncio.run(until_signalled(_serve(settings, roles, reload=reload)))


def worker(*, check: bool = False, pooled: bool = False, apps: bool = False) -> int:
    """Execute functions for a parent, its own or those of apps: started by `cdc run`, not by people."""
    gc.disable()
    settings = config.load()
    telemetry.configure(settings.log_level, settings.log_format, process="apps" if apps else "worker")
    if apps:
        from cdc.service import app_worker

        return asyncio.run(app_worker.run(settings, pooled=pooled))
    from cdc.service import child  # only now: each process loads its own half

    return asyncio.run(child.run(settings, check=check, pooled=pooled))


def _roles(only: list[str] | None) -> frozenset[Role]:
    """What `--only` names; everything without it.

    Raises:
        ConfigurationError: there is no such part.
    """
    words = {word for part in only or [] for word in part.split(",")}
    if unknown := words - ALL:
        raise ConfigurationError(
            f"--only knows no {', '.join(sorted(map(repr, unknown)))}.", hint="It takes listener, worker and web."
        )
    return frozenset(role for role in ALL if role in words) or ALL


async def until_signalled(service: Coroutine[Any, Any, None]) -> int:
    """Run until SIGTERM or SIGINT; a second one does not wait for runs in flight to end."""
    serving = asyncio.create_task(service)
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


async def _serve(settings: Settings, roles: frozenset[Role], *, reload: bool) -> None:
    from cdc.service import parent

    async with AsyncExitStack() as stack:
        url = settings.watched_url
        if url is None and roles == {"web"}:
            url = settings.state_url
        if url is None and settings.sources is None:
            url = await stack.enter_async_context(own_postgres(settings.data_dir))
        await parent.run(settings, url, only=roles, reload=reload, started=lambda address: log.info("api", url=address))
