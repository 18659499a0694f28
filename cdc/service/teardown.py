"""`cdc teardown`: everything that is ours goes, the slot first; what is the user's stays."""

from __future__ import annotations

from dataclasses import dataclass

from cdc.config import Settings
from cdc.errors import SlotInUse
from cdc.service.databases import Databases
from cdc.service.named import Named
from cdc.store import checkpoints, rights, server
from cdc.store.connect import Connection, connect
from cdc.store.migrate import SCHEMAS
from cdc.store.rights import Kept
from cdc.wal import slot as replication


@dataclass(frozen=True, slots=True)
class Remains:
    """What there is of ours. `kept` is None where there is no state; `targets` are tables of vectors, which stay.

    `others`: sources whose state is in the same schema, which stays with them.
    """

    slots: list[str]
    publication: str | None
    schemas: list[str]
    kept: Kept | None
    targets: list[str]
    others: list[str]

    @property
    def is_nothing(self) -> bool:
        """Whether nothing of ours is there."""
        return not (self.slots or self.publication or self.schemas)

    @property
    def statements(self) -> list[str]:
        """The same as SQL, in its order."""
        slots = [f"select pg_drop_replication_slot('{slot}')" for slot in self.slots]
        publication = (
            [rights.statement("setup/drop_publication", publication=self.publication)] if self.publication else []
        )
        return [
            *slots,
            *publication,
            *(rights.statement("setup/drop_schema", schema=schema) for schema in self.schemas),
        ]


class Teardown:
    """Looks first, then removes what it saw."""

    def __init__(self, settings: Settings, named: Named) -> None:
        self._settings = settings
        self._named = named
        self._databases = Databases.of(settings, settings.watched_url).watching(named)

    async def look(self) -> Remains:
        """What there is to remove.

        Raises:
            DatabaseUnreachable, DatabaseRefused: it cannot be seen.
            SlotInUse: a service is running.
        """
        async with await self._databases.to_watched() as watched, await self._state() as state:
            publication = await rights.publication_owner(watched, self._settings.publication)
            schemas = [SCHEMAS["source"]] if await rights.owner(watched, SCHEMAS["source"]) else []
            targets = await rights.targets(watched) if schemas else []
            names = [self._named.slot]
            kept, others = None, list[str]()
            if await rights.owner(state, SCHEMAS["state"]):
                kept = await rights.kept(state)
                known = await checkpoints.current(state, self._named.name)
                names += [known[0].slot] if known else []
                others = await rights.other_sources(state, self._named.name)
                if not others:
                    schemas.insert(0, SCHEMAS["state"])
            slots = [name for name in dict.fromkeys(names) if await self._is_there(watched, name)]
        name = self._settings.publication if publication else None
        return Remains(slots, name, schemas, kept, targets, others)

    async def remove(self, remains: Remains) -> None:
        """Remove it: the slots first, as one that nobody knows of would fill the disk.

        Raises:
            SlotInUse: a service was started meanwhile; nothing was removed.
            DatabaseRefused: only the owner can do that.
        """
        for slot in remains.slots:
            await replication.drop_slot(self._databases.watched, slot)
        async with await self._databases.to_watched() as watched, await self._state() as state:
            if remains.publication:
                await rights.give(watched, "setup/drop_publication", publication=remains.publication)
            for schema in remains.schemas:
                where = state if schema == SCHEMAS["state"] else watched
                await rights.give(where, "setup/drop_schema", schema=schema)
            if remains.others:
                await checkpoints.retire_source(state, self._named.name)

    async def _state(self) -> Connection:
        return await connect(
            self._databases.state, autocommit=True, prepared=False, setting=self._databases.state_setting
        )

    async def _is_there(self, watched: Connection, name: str) -> bool:
        """Whether there is such a slot of this database.

        Raises:
            SlotInUse: somebody reads from it.
        """
        slot = await server.slot(watched, name)
        if slot is None or slot.database != watched.info.dbname:
            return False
        if slot.active_pid is not None:
            raise SlotInUse(
                f"The replication slot {name} is in use: a service is running (PID {slot.active_pid} on the server).",
                hint="Stop it first, and all others with this database.",
            )
        return True
