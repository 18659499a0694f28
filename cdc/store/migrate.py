"""Applies sql/migrations: ordered, checksummed, under an advisory lock, each file in its own transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from cdc.errors import MigrationError
from cdc.store.connect import WATCHED, Connection, connect
from cdc.store.queries import SQL, compose, text

Kind = Literal["source", "state"]
SCHEMAS: dict[Kind, str] = {"source": "cdc", "state": "cdc_state"}

# An arbitrary constant; two services that start at once take turns.
_LOCK = 0x636463


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name, its text, and the checksum that tells whether an applied file was edited."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def available(kind: Kind) -> list[Migration]:
    """The migrations of one kind, in order."""
    files = sorted((SQL / "migrations" / kind).glob("*.sql"))
    return [Migration(file.stem, file.read_text(encoding="utf-8")) for file in files]


async def migrate(url: str, kind: Kind, *, setting: str = WATCHED) -> None:
    """Bring the schema of this kind up to date; does nothing, and needs no right to, when it is.

    `setting` is where the URL comes from.

    Raises:
        MigrationError: the database was written by a newer version, or an applied file was edited.
    """
    async with await connect(url, autocommit=True, prepared=False, setting=setting) as conn:
        await migrate_on(conn, kind)


async def migrate_on(conn: Connection, kind: Kind) -> bool:
    """The same on a connection; True when something was missing."""
    changed = False
    while await missing(conn, kind):
        async with conn.transaction():
            await _apply_next(conn, kind)
        changed = True
    return changed


async def missing(conn: Connection, kind: Kind) -> list[Migration]:
    """The migrations that `migrate` would apply; all of them where the schema was never made.

    Raises:
        MigrationError: see `migrate`.
    """
    exists = await conn.execute(text("migrations/exists"), {"table": f"{SCHEMAS[kind]}.migrations"})
    return pending(kind, await _applied(conn, kind)) if exists.rowcount else available(kind)


async def _apply_next(conn: Connection, kind: Kind) -> None:
    """Apply one file within the caller's transaction. The lock ends with it: a session's own passes no pooler."""
    schema = sql.Identifier(SCHEMAS[kind])
    await conn.execute(text("migrations/lock"), {"key": _LOCK})
    # To try, where it was made beforehand, would need the right to make schemas.
    if not (await conn.execute(text("migrations/schema_exists"), {"schema": SCHEMAS[kind]})).rowcount:
        await conn.execute(compose("migrations/prepare_schema", schema=schema))
    await conn.execute(compose("migrations/prepare_table", schema=schema))
    for migration in pending(kind, await _applied(conn, kind))[:1]:
        await conn.execute(migration.text)
        await conn.execute(
            compose("migrations/record", schema=schema), {"name": migration.name, "checksum": migration.checksum}
        )


async def _applied(conn: Connection, kind: Kind) -> dict[str, str]:
    schema = sql.Identifier(SCHEMAS[kind])
    return dict(await (await conn.execute(compose("migrations/applied", schema=schema))).fetchall())


def pending(kind: Kind, applied: dict[str, str]) -> list[Migration]:
    """The migrations not applied yet.

    Raises:
        MigrationError: see `migrate`.
    """
    known = {migration.name: migration for migration in available(kind)}
    for name, checksum in applied.items():
        if name not in known:
            raise MigrationError(
                f"Schema {SCHEMAS[kind]} was written by a newer version of cdc (migration {name}).",
                hint="Upgrade this service to at least that version.",
            )
        if known[name].checksum != checksum:
            raise MigrationError(
                f"Migration {name} of schema {SCHEMAS[kind]} was changed after it had been applied.",
                hint="Install the released package again; applied migrations are never edited.",
            )
    return [migration for name, migration in known.items() if name not in applied]
