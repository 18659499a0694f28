"""Our functions for an Inngest cluster: composes what handlers have around them, and serves them."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import structlog

from cdc import discovery
from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.service.forwarding import develops
from cdc.service.models import embedder, models_of
from cdc.service.named import configured
from cdc.service.process import prepare
from cdc.service.reaching import Reaching
from cdc.web.server import Web

if TYPE_CHECKING:
    from fastapi import FastAPI

    from cdc.cluster.handling import Around

log = structlog.get_logger(__name__)

PATH = "/api/inngest"


async def serve(settings: Settings, *, host: str, port: int, app_id: str, approximate: bool) -> None:
    """Serve the functions of the search path until cancelled.

    Raises:
        ConfigurationError: a setting, a function or an address cannot be used, or the SDK is not installed.
        DiscoveryError: a function file cannot be loaded.
    """
    address = _address(host)
    if develops(settings) and not address.is_loopback:
        log.warning("whoever reaches this address may call the functions: INNGEST_DEV means no signatures", host=host)
    functions = discovery.discover(discovery.search_path(settings.functions))
    embeds, models = embedder(settings), models_of(settings)
    reaching = Reaching(
        configured(settings, settings.watched_url), state="", models=embeds, sleeps=settings.listen is not None
    )
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(settings.threads, thread_name_prefix="step"))
    prepare()
    try:
        around, app_of = _cluster()
        app = app_of(around(app_id, functions, reaching, models), approximate=approximate)
        await _serve(app, str(address), port)
    finally:
        await reaching.close()
        await embeds.close()
        await models.close()


def _address(host: str) -> IPv4Address | IPv6Address:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ConfigurationError(
            f"--host {host} is no address of this machine.", hint="Write one like 127.0.0.1, 0.0.0.0 or ::."
        ) from None


def _cluster() -> tuple[type[Around], Callable[..., FastAPI]]:
    """What needs the SDK.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from cdc.cluster.app import app_of
        from cdc.cluster.handling import Around
    except ModuleNotFoundError as missing:
        if missing.name != "inngest":
            raise
        raise ConfigurationError(
            "Inngest's SDK is not installed.", hint="Install it: pip install 'cdc[inngest]'."
        ) from None
    return Around, app_of


async def _serve(app: FastAPI, host: str, port: int) -> None:
    web = Web(app, port, host=host)
    try:
        serving = web.start()
    except ConfigurationError as refused:
        raise ConfigurationError(refused.message, hint="Choose another with --port and --host.") from None
    log.info("functions are served", url=f"{web.url}{PATH}")
    try:
        await asyncio.shield(serving)
    finally:
        await web.stop()
