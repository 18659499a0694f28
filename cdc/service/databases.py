"""The database that is watched and the one that holds the state; most often one and the same."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from cdc.config import Settings
from cdc.service import published
from cdc.service.preflight import connected, reachable
from cdc.service.roles import Role
from cdc.store import publications
from cdc.store.connect import STATE, WATCHED, Connection, checked, connect
from cdc.store.migrate import migrate


@dataclass(frozen=True, slots=True)
class Databases:
    """URLs. `pooled`: there is a transaction pooler before the state. `answers_within`: seconds."""

    watched: str
    state: str
    answers_within: float
    pooled: bool = False

    @classmethod
    def of(cls, settings: Settings, url: str, *, watches: bool = True) -> Databases:
        """With `url` as the watched one, if there is one.

        Raises:
            ConfigurationError: one of them cannot be used.
        """
        given = settings.state_database_url
        state = checked(given.get_secret_value(), STATE) if given else url
        return cls(checked(url) if watches else url, state, settings.network_timeout)

    @property
    def apart(self) -> bool:
        """Whether the state lives elsewhere."""
        return self.state != self.watched

    def through_pooler(self) -> Databases:
        """The same, now that it is known."""
        return replace(self, pooled=True)

    async def to_watched(self) -> Connection:
        """An autocommit connection to the watched database."""
        return await connect(self.watched, autocommit=True, answers_within=self.answers_within)

    async def to_state(self, *, silent_for: float | None = None) -> Connection:
        """An autocommit connection to the state database; see `connect` on `silent_for`."""
        return await connect(
            self.state,
            autocommit=True,
            prepared=not self.pooled,
            setting=self._state_setting,
            answers_within=self.answers_within,
            silent_for=silent_for,
        )

    async def migrate_state(self) -> None:
        """Bring the schema of the state up to date.

        Raises:
            DatabaseUnreachable, DatabaseRefused, MigrationError: it cannot be.
        """
        await migrate(self.state, "state", setting=self._state_setting)

    async def prepare(self, settings: Settings, roles: frozenset[Role]) -> None:
        """Wait until both are there, then make in them what is missing.

        Raises:
            ConfigurationError, DatabaseUnreachable, DatabaseRefused, ServerNotReady, MigrationError: it cannot be.
        """
        async with AsyncExitStack() as stack:
            patience = settings.connect_timeout
            if roles != {"web"}:
                listens = "listener" in roles
                watched = await stack.enter_async_context(
                    await connected(self.watched, patience=patience, listens=listens)
                )
                await migrate(self.watched, "source")
                if listens:
                    # Before the slot: a publication younger than its slot is not found, or its rows silently skipped.
                    await publications.ensure(watched, settings.publication, published.selection(settings))
            if self.apart:
                await reachable(self.state, patience=patience, setting=STATE)
            await self.migrate_state()

    @property
    def _state_setting(self) -> str:
        return STATE if self.apart else WATCHED
