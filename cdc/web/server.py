"""Serves the application on loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from cdc.errors import ConfigurationError
from cdc.web.crowd import Crowd

HOST = "127.0.0.1"


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service's own business."""
        yield


class Web:
    """The web server; `stop` tolerates never started and stopped twice."""

    def __init__(self, app: Starlette, port: int) -> None:
        self._port = port
        self._server = _Server(
            uvicorn.Config(
                app, http=Crowd, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
            )
        )
        self._serving: asyncio.Task[None] | None = None
        self.url = ""

    def start(self) -> asyncio.Task[None]:
        """Listen and serve; the task ends by `stop`, or by a failure.

        Raises:
            ConfigurationError: the port is taken.
        """
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # asyncio does it for sockets that it makes itself; else an answer's body waits 40 ms for the client to confirm
        # its head.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            listening.bind((HOST, self._port))
            listening.listen()
        except OSError as error:
            listening.close()
            raise ConfigurationError(
                f"Port {self._port} cannot be used: {error.strerror}.", hint="Choose another one with CDC_PORT."
            ) from None
        self.url = f"http://{HOST}:{listening.getsockname()[1]}"
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]), name="web")
        return self._serving

    async def stop(self) -> None:
        """Answer what was asked, then stop."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving
            self._serving = None
