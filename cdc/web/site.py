"""What the routes and pages of the service work with: one value, made by the service."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from cdc.authoring.context import Embeddings
from cdc.events.hands import Hands
from cdc.events.outbox import Outbox
from cdc.store.connect import Connection
from cdc.tallies import Tallies
from cdc.web.guard.terms import NOTHING_ASKED, Terms
from cdc.web.status import Statuses

Connecting = Callable[[], AbstractAsyncContextManager[Connection]]
"""A connection to the state database, given back at the end of the block."""

At = Callable[[str | None], Embeddings | None]
"""The embeddings of a source, or of the first one; None: there is no such source."""


class Replication(Protocol):
    """How changes come from all sources, as their servers tell it."""

    def sources(self) -> Awaitable[Sequence[dict[str, Any]]]:
        """Each with its name, slot (None: there is none), tables and backfills; `unanswered`: why there is no more."""
        ...

    def checks(self, source: str | None, /) -> Awaitable[Sequence[dict[str, Any]] | None]:
        """What `cdc doctor --json` finds of a source, or of the first one: check, state, says, next.

        The state is ok, warning or failed. None: there is no such source.
        """
        ...


class Embedded(Protocol):
    """The embeddings of all sources."""

    def standing(self, table: str | None, /) -> Awaitable[Sequence[dict[str, Any]]]:
        """How those of one table, or all, stand; each with the `source` that it is of."""
        ...

    def put_aside(self, limit: int, /) -> Awaitable[Sequence[dict[str, Any]]]:
        """Texts that were put aside, the newest of each source.

        With source, table, target, key, ordinal, reason and failed_at.
        """
        ...

    def retry(self, source: str | None, table: str, target: str | None, key: str | None, /) -> Awaitable[int | None]:
        """Try texts again that were put aside; how many rows are looked at. None: there is no such source.

        Raises:
            ConfigurationError: there is no such table.
            DatabaseRefused: our role has no right to.
        """
        ...


class Apps(Protocol):
    """Apps elsewhere that can be asked for their functions."""

    def add(self, url: str, /) -> Awaitable[dict[str, Any] | None]:
        """Have the app at a URL, and ask it now; its row, with the `error` where it could not be synced. None: it was
        removed meanwhile.

        Raises:
            ValueError: that is no URL of an app.
        """
        ...

    def sync(self, name: str, /) -> Awaitable[dict[str, Any] | None]:
        """The same of an app that is there, by its name or URL.

        Raises:
            LookupError: there is none that can be asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """What is served. Without a `connection` only how the service is can be told.

    `wake`: something may be due, or was cancelled. `keys` are those that events may come with, `terms` what all else
    asks for. Nothing is changed before it is `confirmed` that the state is the watched database's. `embeddings` are
    those of a source. `stopping` is set before the server stops: answers without an end (`GET /live`) end then.
    `totals` is what was counted since the start; `requests`, those answered by route and status code.
    """

    statuses: Statuses
    connection: Connecting | None = None
    wake: Callable[[], None] = lambda: None
    keys: Sequence[str] = ()
    terms: Terms = NOTHING_ASKED
    confirmed: Callable[[], bool] = lambda: True
    embeddings: At = lambda source: None
    embedded: Embedded | None = None
    replication: Replication | None = None
    apps: Apps | None = None
    outbox: Outbox = field(default_factory=Outbox)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    totals: Callable[[], Tallies] = Tallies
    requests: Counter[tuple[str, int]] = field(default_factory=Counter)

    @property
    def state(self) -> Connecting:
        """The state database, for what is only served where there is one."""
        assert self.connection is not None, "routes that need the state are not served without"
        return self.connection

    def known(self, source: str) -> dict[str, Any]:
        """What the service itself knows of a source; of one that is no more, nothing."""
        ours = next((status for status in self.statuses.every if status.source == source), None)
        if ours is None:
            return {"publication": None, "slot_name": None, "listening": False, "problem": None, "unpublished": {}}
        return {**ours.as_json(), "publication": ours.publication, "slot_name": ours.slot}

    @asynccontextmanager
    async def hands(self) -> AsyncIterator[Hands]:
        """What acts on runs and functions; at the end of the block the workers look what is due or cancelled."""
        async with self.state() as conn:
            yield Hands(conn, self.outbox)
        self.wake()
