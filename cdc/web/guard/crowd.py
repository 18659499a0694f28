"""How many connections there may be: each takes memory and a file descriptor, of which the listener needs some, too."""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from cdc.web.guard.connections import Patient

MOST_CONNECTIONS = 512


class Crowd(Patient):
    """A connection that gives way to new ones while nothing is asked over it, once there are too many."""

    quiet_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """One more: the one that has been quiet for longest is closed for it, or else this one."""
        super().connection_made(transport)
        self.quiet_since = self.loop.time()
        if len(self.connections) > MOST_CONNECTIONS:
            quiet = [each for each in self.connections if isinstance(each, Crowd) and each.is_quiet]
            others = [each for each in quiet if each is not self]
            min(others, key=lambda each: each.quiet_since, default=self).transport.close()

    def on_response_complete(self) -> None:
        """It is quiet from now on."""
        self.quiet_since = self.loop.time()
        super().on_response_complete()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is asked over it."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        asked = cycle is not None and not cycle.response_complete
        return not asked and not self.transport.is_closing()
