"""Measures once a minute what plots and metrics show of the present: queues, lag, slots, embeddings."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog

from cdc.errors import CdcError
from cdc.maintenance.loop import Loop
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.store import examining, gauges
from cdc.store.connect import Connection
from cdc.store.failures import StatementFailed
from cdc.store.gauges import Value
from cdc.web.status import Statuses

log = structlog.get_logger(__name__)

_EVERY = 60.0

_SELDOM = 5
"""Minutes between looks at embeddings, which count rows."""


class Asks(Protocol):
    """How the embeddings of all sources stand; see `cdc.web.site.Embedded`."""

    def standing(self, table: str | None, /) -> Awaitable[Sequence[dict[str, Any]]]:
        """Of one table, or of all."""
        ...


class Sampling:
    """Of replicas each measures: what they have in common is kept once, by who came last in the minute.

    The watched databases are asked only where this service `follows` them, not to wake one that should sleep.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        databases: Databases,
        named: Callable[[], Sequence[Named]],
        statuses: Statuses,
        embedded: Asks,
        *,
        follows: bool,
        beside: Callable[[Connection], Awaitable[list[Value]]],
    ) -> None:
        self._connect = connect
        self._databases = databases
        self._named = named
        self._statuses = statuses
        self._embedded = embedded
        self._follows = follows
        self._beside = beside
        self._ticks = 0
        self._of_embeddings: list[Value] = []

    def loop(self) -> Loop:
        """Measures at the start and then at the begin of each minute."""
        return Loop("gauges", _EVERY, self.tick)

    async def tick(self) -> float:
        """Measure; returns the seconds to the next minute."""
        async with await self._connect() as conn:  # first: it waits until slot and checkpoint belong together
            values = self._lags()
            if self._follows:
                values += await self._slots()
                if self._ticks % _SELDOM == 0:
                    self._of_embeddings = await self._embeddings()
                self._ticks += 1
            values += [*await gauges.measure(conn), *await self._beside(conn)]
            await gauges.keep(conn, _greatest([*values, *self._of_embeddings]))
        return _EVERY - time.time() % _EVERY

    def _lags(self) -> list[Value]:
        """Of the sources that this service listens to: WAL that was received. Slots tell of what was not even read."""
        now = time.monotonic()
        return [
            value
            for status in self._statuses.every
            if status.listening
            for value in (
                Value("lag_bytes", status.source, status.lag_bytes),
                Value("lag_seconds", status.source, status.lag_seconds(now)),
            )
        ]

    async def _slots(self) -> list[Value]:
        values = []
        for named in self._named():
            try:
                async with await self._databases.watching(named).to_watched() as conn:
                    slot = await examining.slot(conn, named.slot)
            except (StatementFailed, CdcError):
                continue  # its status says what is wrong
            if slot is not None:
                values.append(Value("slot_lost", named.name, float(slot.columns["wal_status"] == "lost")))
                values += [
                    Value(what, named.name, number)
                    for what, number in (("retained_bytes", slot.retained), ("lag_bytes", slot.lag))
                    if number is not None
                ]
        return values

    async def _embeddings(self) -> list[Value]:
        values = []
        for each in await self._embedded.standing(None):
            name = f"{each['source']}/{each.get('target')}"
            if each.get("counts"):
                values.append(Value("backlog", name, each["counts"]["pending"]))
            if "put_aside" in each:
                values.append(Value("put_aside", name, each["put_aside"]))
        return values


def _greatest(values: Sequence[Value]) -> list[Value]:
    """Each once: WAL is behind as far as whoever sees more of it says."""
    found: dict[tuple[str, str], float] = {}
    for what, name, value in values:
        found[what, name] = max(value, found.get((what, name), value))
    return [Value(*key, value) for key, value in found.items()]
