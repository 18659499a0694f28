"""Apps that connect by themselves: what they ask first, in the service; where they connect, in the process that calls
apps. The tokens that let them from one to the other are signed with a secret that both have.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from cdc.config import Settings
from cdc.errors import CdcError
from cdc.remote.connect import tokens
from cdc.remote.connect.starting import Desk, NotThere
from cdc.service import serving

if TYPE_CHECKING:  # both bring aiohttp along: only for the process that calls apps
    from cdc.remote.connect.connections import Connections
    from cdc.remote.connect.gateway import Gateway, Register

log = structlog.get_logger(__name__)

_SECRET = "CDC_CONNECT_SECRET"  # noqa: S105 - a name; only for the environment of our own processes
_AGAIN = 5.0


class Connecting:
    """The service's part. All replicas with the same signing key have the same `secret`, and let each other's workers
    in.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.secret = next(iter(serving.grounds(settings).keys), "") or secrets.token_hex(32)

    def environment(self) -> Mapping[str, str]:
        """What the process that calls apps has to know."""
        return {_SECRET: self.secret}

    def desk(self, awake: Callable[[], Awaitable[None]] | None) -> Desk:
        """What workers ask first. `awake` sees to it that there is a process that calls apps; None: there is none."""

        async def open_() -> None:
            if awake is None or not self._settings.connect_port:
                raise NotThere("No worker may connect to this service: see CDC_CONNECT_PORT, and `cdc run --only`.")
            try:
                await awake()
            except CdcError as error:
                raise NotThere(str(error)) from None

        return Desk(self._settings.host, self._settings.connect_port, tokens.key_of(self.secret), open_)


@asynccontextmanager
async def opened(settings: Settings, connections: Connections, register: Register) -> AsyncIterator[None]:
    """Have workers connect to this process for the length of the block, if the service wants that: from now on, or from
    when the port is free.
    """
    secret = os.environ.pop(_SECRET, None)
    if not secret or not settings.connect_port:
        yield
        return
    from cdc.remote.connect.gateway import Gateway

    key = tokens.key_of(secret)
    gateway = Gateway(connections, register, host=settings.host, port=settings.connect_port, key=key)
    opening = asyncio.create_task(_open(gateway), name="gateway")
    try:
        yield
    finally:
        opening.cancel()
        await gateway.close()


async def _open(gateway: Gateway) -> None:
    told = False
    while True:
        try:
            return await gateway.start()
        except OSError as error:
            if not told:
                log.warning("no worker can connect: see CDC_CONNECT_PORT", reason=str(error))
            told = True
            await asyncio.sleep(_AGAIN)
