"""How long a connection may take to say what it wants, and how much: uvicorn itself waits for ever and keeps it all."""

from __future__ import annotations

import asyncio
from enum import Enum, auto

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD = 64 * 1024
"""Bytes of the first line and the headers. They are counted with each packet: what is whole by then is let through."""

MOST_REQUEST = 64 * 1024 * 1024
"""Bytes of all of a request as it is sent, in however small chunks."""


HEAD_WITHIN = 15.0
BODY_WITHIN = 120.0
"""Seconds."""


class _Awaited(Enum):
    """What of a request is to come."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()


class Patient(HttpToolsProtocol):
    """A connection that is closed when a request takes too long or is too large."""

    _awaited = _Awaited.HEAD
    _timed = _Awaited.NOTHING
    _received = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        super().connection_made(transport)
        self._time()

    def data_received(self, data: bytes) -> None:
        """A packet."""
        self._received += len(data)
        super().data_received(data)
        if self._received > (MOST_HEAD if self._awaited is _Awaited.HEAD else MOST_REQUEST):
            self.send_400_response("The request is too large.")
        self._time()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._awaited = _Awaited.NOTHING
        self._time()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._awaited = _Awaited.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its headers are there."""
        self._awaited = _Awaited.BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._awaited, self._received = _Awaited.NOTHING, 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """It is a WebSocket from now on, with a protocol of its own."""
        self._awaited = _Awaited.NOTHING
        super().handle_websocket_upgrade()

    def _time(self) -> None:
        """Only what does not come at once is timed."""
        if self._awaited is self._timed:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timed = self._awaited
        if self._timed is not _Awaited.NOTHING:
            seconds = HEAD_WITHIN if self._timed is _Awaited.HEAD else BODY_WITHIN
            self._timer = self.loop.call_later(seconds, self.transport.close)
