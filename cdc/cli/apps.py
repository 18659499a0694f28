"""`cdc apps`: apps written with Inngest's SDKs."""

from __future__ import annotations

import asyncio
from typing import Any

from cyclopts import App

from cdc import config
from cdc.cli.showing import show, table, time
from cdc.errors import ConfigurationError
from cdc.remote.registering import stripped
from cdc.service import hands
from cdc.store import apps as stored
from cdc.store.connect import Connection

apps = App(name="apps", help="Add, list, sync or remove apps written with Inngest's SDKs.")

_PATIENCE = 15.0
"""Seconds that the running service has to ask an app."""

_EVERY = 0.1


@apps.command
def add(url: str) -> int:
    """Have the service ask an app for its functions, now and from then on.

    Args:
        url: where the app serves Inngest's handler, such as http://localhost:3000/api/inngest.
    """
    try:
        found = stripped(url)
    except ValueError:
        raise ConfigurationError(
            f"{url!r} is no URL.", hint="Write it whole, like http://localhost:3000/api/inngest."
        ) from None
    return asyncio.run(_add(found))


@apps.command(name="list")
def listed() -> None:
    """List the apps with their functions, and why one could not be synced."""
    rows = asyncio.run(_listed())
    made = table("app", "url", "sdk", "framework", "functions", "synced", "error")
    for row in rows:
        about = [str(row[name] or "") for name in ("name", "url", "sdk", "framework")]
        made.add_row(*about, ", ".join(row["functions"]), time(row["synced_at"]), row["error"] or "")
    show(made if rows else "There are no apps; add one with 'cdc apps add URL', or CDC_APPS.")


@apps.command
def sync(app: str | None = None) -> int:
    """Have the service ask an app, or all, for their functions now.

    Args:
        app: its name or URL; all when not given.
    """
    return asyncio.run(_sync(app))


@apps.command
def remove(app: str) -> int:
    """Forget an app. Its functions start no more runs; those under way are not ended.

    Args:
        app: its name or URL.
    """
    asyncio.run(_remove(app))
    show(f"{app} is removed.")
    return 0


async def _add(url: str) -> int:
    async with hands.looking(config.load()) as conn:
        await stored.add(conn, url)
        return await _asked(conn, url)


async def _listed() -> list[dict[str, Any]]:
    async with hands.looking(config.load()) as conn:
        return await stored.listed(conn)


async def _sync(name: str | None) -> int:
    async with hands.looking(config.load()) as conn:
        names = [name] if name else [app.url for app in await stored.wanted(conn)]
        return max([await _asked(conn, each) for each in names], default=0)


async def _remove(name: str) -> None:
    async with hands.acting(config.load()) as conn:
        if not await stored.remove(conn, name):
            raise _unknown(name)


async def _asked(conn: Connection, name: str) -> int:
    """Have a running service ask an app, and tell how that went.

    Raises:
        ConfigurationError: there is no such app.
    """
    id_ = await stored.ask(conn, name)
    if id_ is None:
        raise _unknown(name)
    await hands.tell(conn)
    tried = await stored.tried(conn, id_)
    for _ in range(int(_PATIENCE / _EVERY)):
        if tried is None or tried.tried:
            break
        await asyncio.sleep(_EVERY)
        tried = await stored.tried(conn, id_)
    if tried and not tried.tried:
        show(f"{name} is noted. No running service has asked it yet; the next 'cdc run' does.")
        return 1
    if tried and tried.error:
        show(f"{name} could not be synced: {tried.error}")
        return 1
    known = [row for row in await stored.listed(conn) if row["id"] == id_]
    for row in known:
        show(f"{row['name']} is synced, with {len(row['functions'])} functions: {', '.join(row['functions'])}")
    if not known:
        show(f"{name} is synced: it is an app that was known by another URL.")
    return 0


def _unknown(name: str) -> ConfigurationError:
    return ConfigurationError(f"There is no app {name!r} that could be asked.", hint="'cdc apps list' shows all.")
