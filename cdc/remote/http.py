"""Calls of apps over HTTP: signed, each app within its own limit, none twice unless it did not get there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType

from cdc.remote.addresses import Entry, target
from cdc.remote.answer import Answer, Unreached
from cdc.remote.call import App, Call
from cdc.remote.endpoints.requested import again, is_endpoint
from cdc.remote.pool import Exchanged, Lost, Pool, TooLarge, Unsent
from cdc.remote.reading import LARGEST_BODY, failed, is_refused, read, too_large
from cdc.remote.request import Request, request
from cdc.remote.signing import sign
from cdc.remote.traffic import OutOfReach, Traffic


class Http:
    """Calls apps at their URLs; a `Caller`.

    The first of `keys` signs, the next where an app refuses it; without keys nothing is signed. `entries` are the hosts
    of `CDC_APP_HOSTS`. One call may take `timeout` seconds, one app may have `limit` calls at once.
    """

    def __init__(
        self,
        keys: Sequence[str],
        entries: Sequence[Entry],
        *,
        development: bool,
        timeout: float,
        limit: int,
    ) -> None:
        self.traffic = Traffic(limit)
        self._keys = tuple(keys)
        self._timeout = timeout
        self._pool = Pool(partial(target, entries=entries, development=development))
        self._known: dict[str, str] = {}
        self._reasons: dict[str, str] = {}

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def call(self, app: App, call: Call) -> Answer:
        """What a call comes to; however it goes wrong is an answer, too."""
        if app.url is None:
            return Unreached("It has no URL, and is not connected.")
        try:
            asked = again(app.url, call) if is_endpoint(app.url) else request(app.url, call, signed=bool(self._keys))
        except ValueError as error:
            return failed("StateUnwritable", f"What the run knows cannot be sent: {error}.", no_retry=True)
        try:
            async with self.traffic.call(app.name) as breaker:
                answer = await self._answer(app, asked)
                if isinstance(answer, Unreached):
                    self._reasons[app.name] = answer.reason
                    breaker.unreached()
                else:
                    breaker.reached()
                return answer
        except OutOfReach as away:
            return Unreached(f"{self._reasons[app.name]} It is tried again in {max(away.seconds, 0.1):.1f} s.")

    async def _answer(self, app: App, asked: Request) -> Answer:
        try:
            found = await self._exchange(app, asked)
        except Unsent as unsent:
            return Unreached(f"The app {unsent}.")
        except Lost as lost:
            return failed("ConnectionLost", f"The app {lost}.")
        except TooLarge:
            return too_large()
        return read(found.status, found.headers, found.body, time.time())

    async def _exchange(self, app: App, asked: Request) -> Exchanged:
        """Under the key that the app knew last; it may have another soon."""
        if not self._keys:
            return await self._post(asked, None)
        last = self._known.get(app.name, self._keys[0])
        found = await self._post(asked, last)
        for key in self._keys:
            if not is_refused(found.status, found.body):
                break
            if key != last:
                found = await self._post(asked, key)
                self._known[app.name] = key
        return found

    async def _post(self, asked: Request, key: str | None) -> Exchanged:
        headers = asked.headers
        if key is not None:
            signed = sign(asked.body, key, time.time(), is_canonical=True)
            headers = headers | {"x-inngest-signature": signed}
        return await self._pool.exchange(
            asked.method, asked.url, headers, asked.body or None, timeout=self._timeout, limit=LARGEST_BODY
        )
