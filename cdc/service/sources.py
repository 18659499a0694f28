"""All watched databases of one service: that of DATABASE_URL, and others that come and go while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from cdc.service.named import Named
from cdc.service.source import Shared, Source
from cdc.web.status import Status, Statuses

log = structlog.get_logger(__name__)


class Sources:
    """Each is watched by itself; what goes wrong with one harms no other.

    `on_change` is called with what there is now, between the end of those that went and the start of those that came.
    """

    def __init__(self, named: Sequence[Named], shared: Shared, on_change: Callable[[Sequence[Named]], None]) -> None:
        self._shared = shared
        self._on_change = on_change
        self._sources = {each.name: Source(each, shared) for each in named}
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.home = next((source for source in self._sources.values() if source.named.is_home), None)
        self.statuses = Statuses(self.home.status if self.home else None, self._others())

    def start(self) -> None:
        """Watch them."""
        for source in self._sources.values():
            self._shared.absences.expect(source.named.name)
        for source in self._sources.values():
            source.start(self._ended)

    async def until_one_fails(self) -> None:
        """Wait; raises what ended one. What can be waited for, or mended by a person, ends none but the home."""
        await self._failed

    async def change(self, named: Sequence[Named]) -> None:
        """Watch these from now on: stop those that are gone, or are elsewhere now; start those that are new."""
        wanted, had = set(named), {source.named for source in self._sources.values()}
        if wanted == had:
            return
        for gone in had - wanted:
            await self._remove(self._sources.pop(gone.name))
        added = [Source(each, self._shared) for each in named if each not in had]
        self._sources |= {source.named.name: source for source in added}
        self.statuses.others = self._others()
        self._on_change(named)
        for source in added:
            log.info("source added", source=source.named.name, slot=source.named.slot)
            source.registered()
            source.status.problem = "It was not tried yet."  # the service was ready, and is so without it
            source.start(self._ended)

    async def stop(self) -> None:
        """Stop watching all."""
        await asyncio.gather(*(source.stop() for source in self._sources.values()))

    def registered(self) -> None:
        """Workers of this service registered functions."""
        for source in self._sources.values():
            source.registered()

    async def _remove(self, source: Source) -> None:
        await source.stop()
        self._shared.absences.forget(source.named.name)
        slot = source.named.slot
        log.warning(
            "source removed",
            source=source.named.name,
            slot=slot,
            reason="its slot stays, and retains WAL until the source is back or the slot is dropped",
            hint=f"To give it up, run in that database: SELECT pg_drop_replication_slot('{slot}');",
        )

    def _others(self) -> dict[str, Status]:
        return {name: source.status for name, source in self._sources.items() if not source.named.is_home}

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._failed.done():
            self._failed.set_exception(error)
