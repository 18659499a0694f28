"""Apps, as one service keeps them: what they tell, asking them, and what people do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.routing import BaseRoute

from cdc.config import Settings
from cdc.remote.polling import Polling
from cdc.remote.registering import Registering, To, stripped
from cdc.remote.routes import register
from cdc.remote.syncing import Syncing
from cdc.service import serving
from cdc.store import apps


class Apps:
    """Implements `cdc.web.site.Apps`. `changed`: functions of apps have."""

    def __init__(self, settings: Settings, to_state: To, changed: Callable[[], None]) -> None:
        grounds = serving.grounds(settings)
        self._to_state = to_state
        self.registering = Registering(to_state, grounds, changed)
        self._syncing = Syncing(self.registering)
        self._polling = Polling(to_state, self._syncing, serving.urls(settings), development=not grounds.keys)

    def routes(self) -> list[BaseRoute]:
        """What SDKs call to tell of their functions."""
        return [*register.routes(self.registering)]

    def look(self) -> None:
        """Somebody may want an app to be asked now."""
        self._polling.look()

    async def forever(self) -> None:
        """Ask apps, until cancelled."""
        await self._polling.forever()

    async def add(self, url: str, /) -> dict[str, Any] | None:
        """Have the app at a URL, and ask it now; its row, with the `error` where it could not be synced. None: it was
        removed meanwhile.

        Raises:
            ValueError: that is no URL of an app.
        """
        plain = stripped(url)
        async with self._to_state() as conn:
            id_ = await apps.add(conn, plain)
        return await self._asked(id_, plain)

    async def sync(self, name: str, /) -> dict[str, Any] | None:
        """The same of an app that is there, by its name or URL.

        Raises:
            LookupError: there is none that can be asked.
        """
        async with self._to_state() as conn:
            found = next((app for app in await apps.wanted(conn) if name in (app.name, app.url)), None)
        if found is None:
            raise LookupError(name)
        return await self._asked(found.id, found.url)

    async def _asked(self, id: int, url: str) -> dict[str, Any] | None:
        await self._syncing.sync(id, url)
        now = self._syncing.became(id) or id
        async with self._to_state() as conn:
            return next((row for row in await apps.listed(conn) if row["id"] == now), None)
