"""Serves the application, on loopback unless told otherwise."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from cdc.errors import ConfigurationError
from cdc.web.guard.crowd import Crowd
from cdc.web.guard.headers import Safe

HOST = "127.0.0.1"

_MOST_HEARD = 4096
"""Bytes of a message of a WebSocket: what listeners say means nothing."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's own business."""
        yield


class Web:
    """The web server; `stop` tolerates never started and stopped twice.

    `host` is an address of this machine. Of `proxies`, addresses and networks separated by commas, it is believed for
    whom they ask (`X-Forwarded-For`) and how they were asked (`X-Forwarded-Proto`). `kind`: see `Terms.kind`.
    """

    def __init__(self, app: ASGIApp, port: int, *, host: str = HOST, proxies: str = "", kind: str = "dev") -> None:
        self._port = port
        self._host = host
        self._server = _Server(
            uvicorn.Config(
                Safe(app, kind),  # outside of all that answers, also of what answers a failure
                http=Crowd,
                ws="auto",
                ws_max_size=_MOST_HEARD,
                ws_per_message_deflate=False,
                log_config=None,
                access_log=False,
                lifespan="off",
                proxy_headers=bool(proxies),
                forwarded_allow_ips=proxies,
                server_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._serving: asyncio.Task[None] | None = None
        self.url = ""

    def start(self) -> asyncio.Task[None]:
        """Listen and serve; the task ends by `stop`, or by a failure.

        Raises:
            ConfigurationError: the port is taken, or the address is not this machine's.
        """
        by_6 = ":" in self._host
        listening = socket.socket(socket.AF_INET6 if by_6 else socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # asyncio does it for sockets that it makes itself; else an answer's body waits 40 ms for the client to confirm
        # its head.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self._host == "::":  # by both, whatever this machine's default is
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listening.bind((self._host, self._port))
            listening.listen()
        except OSError as error:
            listening.close()
            raise ConfigurationError(
                f"Port {self._port} cannot be used on {self._host}: {error.strerror}.",
                hint="Choose another one with CDC_PORT, or another address of this machine with CDC_HOST.",
            ) from None
        self.url = f"http://{f'[{self._host}]' if by_6 else self._host}:{listening.getsockname()[1]}"
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]), name="web")
        return self._serving

    async def stop(self) -> None:
        """Answer what was asked, then stop."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._serving = None
