"""Which way a call goes: over HTTP to an app with a URL, over the connection that an app without one keeps."""

from __future__ import annotations

from cdc.remote.answer import Answer
from cdc.remote.call import App, Call, Caller


class Callers:
    """Calls apps of both kinds."""

    def __init__(self, http: Caller, connected: Caller) -> None:
        self._http = http
        self._connected = connected

    async def call(self, app: App, call: Call) -> Answer:
        """What a call comes to; however it goes wrong is an answer, too."""
        way = self._connected if app.url is None else self._http
        return await way.call(app, call)
