"""The database that is watched and the one that holds the state; most often one and the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from cdc.config import Settings
from cdc.service import published
from cdc.service.named import Named
from cdc.service.preflight import connected, reachable
from cdc.store import publications
from cdc.store.connect import STATE, WATCHED, Connection, checked, connect
from cdc.store.migrate import migrate


@dataclass(frozen=True, slots=True)
class Databases:
    """URLs, and the settings that they come from, for messages. `pooled`: there is a transaction pooler before the
    state. `answers_within`: seconds.
    """

    watched: str
    state: str
    answers_within: float
    pooled: bool = False
    setting: str = WATCHED
    state_setting: str = WATCHED

    @classmethod
    def of(cls, settings: Settings, url: str | None, *, watches: bool = True) -> Databases:
        """With `url` as the watched one, if there is one.

        Raises:
            ConfigurationError: one of them cannot be used.
        """
        given, watched = settings.state_database_url, url or ""
        state = checked(given.get_secret_value(), STATE) if given else watched
        setting = STATE if state != watched else WATCHED
        watched = checked(watched) if watched and watches else watched
        return cls(watched, state, settings.network_timeout, state_setting=setting)

    def watching(self, named: Named) -> Databases:
        """The same state, and another watched database."""
        return replace(self, watched=named.url, setting=named.setting)

    @property
    def apart(self) -> bool:
        """Whether the state lives elsewhere."""
        return self.state != self.watched

    def through_pooler(self) -> Databases:
        """The same, now that it is known."""
        return replace(self, pooled=True)

    async def to_watched(self) -> Connection:
        """An autocommit connection to the watched database."""
        return await connect(self.watched, autocommit=True, setting=self.setting, answers_within=self.answers_within)

    async def to_state(self, *, silent_for: float | None = None) -> Connection:
        """An autocommit connection to the state database; see `connect` on `silent_for`."""
        return await connect(
            self.state,
            autocommit=True,
            prepared=not self.pooled,
            setting=self.state_setting,
            answers_within=self.answers_within,
            silent_for=silent_for,
        )

    @asynccontextmanager
    async def briefly(self) -> AsyncIterator[Connection]:
        """A connection to the state database for the length of the block."""
        async with await self.to_state() as conn:
            yield conn

    async def migrate_state(self) -> None:
        """Bring the schema of the state up to date.

        Raises:
            DatabaseUnreachable, DatabaseRefused, MigrationError: it cannot be.
        """
        await migrate(self.state, "state", setting=self.state_setting)

    async def prepare_watched(self, settings: Settings, *, listens: bool, patience: float | None = None) -> None:
        """Wait until the watched database is there, then make in it what is missing; `patience`: how many seconds.

        Raises:
            ConfigurationError, DatabaseUnreachable, DatabaseRefused, ServerNotReady, MigrationError: it cannot be.
        """
        patience = settings.connect_timeout if patience is None else patience
        async with await connected(self.watched, patience=patience, listens=listens, setting=self.setting) as conn:
            await migrate(self.watched, "source", setting=self.setting)
            if listens:
                # Before the slot: a publication younger than its slot is not found, or its rows silently skipped.
                await publications.ensure(conn, settings.publication, published.selection(settings))

    async def prepare_state(self, settings: Settings) -> None:
        """The same of the state database.

        Raises:
            ConfigurationError, DatabaseUnreachable, DatabaseRefused, ServerNotReady, MigrationError: it cannot be.
        """
        if self.apart:
            await reachable(self.state, patience=settings.connect_timeout, setting=STATE)
        await self.migrate_state()
