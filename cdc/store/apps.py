"""Apps elsewhere: their rows, and their functions in the registry."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from cdc.errors import ConfigurationError
from cdc.store import functions
from cdc.store.connect import Connection
from cdc.store.listing import dicts
from cdc.store.queries import text


class Told(NamedTuple):
    """What an app tells of itself. Without a `url` it connects by itself."""

    name: str
    url: str | None
    sdk: str | None
    framework: str | None
    version: str | None
    definitions: Sequence[dict[str, Any]]


class Synced(NamedTuple):
    """The row of an app that told of itself, and whether that changed anything."""

    id: int
    modified: bool


class Served(NamedTuple):
    """An app as its calls need it; without a `url` it is connected by itself."""

    name: str
    url: str | None
    sdk: str


async def add(conn: Connection, url: str) -> int:
    """Have an app known by its URL, until its SDK says who it is; the id of its row."""
    await conn.execute(text("apps/add"), {"url": url})
    row = await (await conn.execute(text("apps/by_url"), {"url": url})).fetchone()
    assert row is not None, "it was just added, or there before"
    return int(row[0])


class Wanted(NamedTuple):
    """An app that can be asked for its functions; one without a name never answered. `is_asked`: it is to be, now."""

    id: int
    url: str
    name: str | None
    is_asked: bool


class Tried(NamedTuple):
    """How it went when an app was asked. It is `synced` if it ever was."""

    name: str | None
    error: str | None
    tried: bool
    synced: bool


async def wanted(conn: Connection) -> list[Wanted]:
    """The apps that have a URL."""
    return [Wanted(*row) for row in await (await conn.execute(text("apps/wanted"))).fetchall()]


async def ask(conn: Connection, name: str) -> int | None:
    """Have services ask an app, by its name or URL, for its functions now; the id of its row. None: there is none."""
    row = await (await conn.execute(text("apps/ask"), {"name": name})).fetchone()
    return None if row is None else int(row[0])


async def tried(conn: Connection, id: int) -> Tried | None:
    """How it went; None: the row was one of an app that has another one."""
    row = await (await conn.execute(text("apps/tried"), {"id": id})).fetchone()
    return None if row is None else Tried(*row)


async def sync(conn: Connection, told: Told, known: int | None = None) -> Synced:
    """Bring the registry in line with what an app tells: its functions that it tells no more of are archived.

    A row that was known by this URL only becomes the app, and so does the row `known`, for which the app was asked.

    Raises:
        ConfigurationError: one of its functions has the id of another's that is in force; or it was removed while it
            was asked, which its answer does not undo.
    """
    checksum = hashlib.sha256(orjson.dumps(list(told))).hexdigest()
    named = {"name": told.name, "url": told.url, "known": known, "checksum": checksum}
    row = await (await conn.execute(text("apps/same"), named)).fetchone()
    if row is not None:
        return Synced(row[0], modified=False)
    async with conn.transaction():
        await conn.execute(text("functions/lock_registry"))
        if known is not None and not (await conn.execute(text("apps/is_known"), named)).rowcount:
            raise ConfigurationError(f"The app {told.name!r} was removed while it was asked.", hint="Add it again.")
        await _check(conn, told)
        changed = await _settle(conn, named)
        changed += await functions.write(conn, told.definitions, told.name)
        kept = [definition["id"] for definition in told.definitions]
        changed += (await conn.execute(text("apps/archive"), {"app": told.name, "kept": kept})).rowcount
        about = {"sdk": told.sdk, "framework": told.framework, "version": told.version}
        row = await (await conn.execute(text("apps/sync"), {**named, **about})).fetchone()
        assert row is not None, "it was inserted or updated"
        modified = changed > 0 or row[1]
        if modified:  # another URL alone, too: whoever calls the app has the old one
            await conn.execute(text("functions/raise_version"))
        return Synced(row[0], modified)


async def fail(conn: Connection, id: int, error: str) -> None:
    """Note why an app could not be synced."""
    await conn.execute(text("apps/fail"), {"id": id, "error": error})


async def remove(conn: Connection, name: str) -> bool:
    """Forget an app by its name or URL, and archive its functions; False: there is none."""
    async with conn.transaction():
        await conn.execute(text("functions/lock_registry"))
        removed = await (await conn.execute(text("apps/remove"), {"name": name})).fetchone()
        if removed is not None:
            archived = await conn.execute(text("apps/archive"), {"app": removed[0], "kept": []})
            if archived.rowcount:
                await conn.execute(text("functions/raise_version"))
        return removed is not None


async def listed(conn: Connection, name: str | None = None) -> list[dict[str, Any]]:
    """The apps, or that of one name, as people see them, with the ids of their functions; the nameless first."""
    return await dicts(conn, "apps/listed", {"name": name})


async def served(conn: Connection) -> list[Served]:
    """The apps that can be called."""
    return [Served(*row) for row in await (await conn.execute(text("apps/callable"))).fetchall()]


async def _settle(conn: Connection, named: dict[str, Any]) -> int:
    """Make room for the row of an app; how many functions of the app that was at its URL before are archived."""
    await conn.execute(text("apps/name_one"), named)
    await conn.execute(text("apps/drop_nameless"), named)
    archived = 0
    for (name,) in await (await conn.execute(text("apps/move_away"), named)).fetchall():
        archived += (await conn.execute(text("apps/archive"), {"app": name, "kept": []})).rowcount
    return archived


async def _check(conn: Connection, told: Told) -> None:
    taken = await functions.taken(conn, [definition["id"] for definition in told.definitions], told.name)
    if taken is not None:
        id_, app = taken
        owner = "a function that runs in the service itself" if app is None else f"a function of the app {app!r}"
        raise ConfigurationError(
            f"The app {told.name!r} has a function {id_!r}, and so is called {owner}.",
            hint="Give one of them another id" + (f", or remove that app: cdc apps remove {app}." if app else "."),
        )
