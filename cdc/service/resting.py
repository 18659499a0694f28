"""Reading now and then (`CDC_LISTEN=every 10m`): what must hold for a watched database to sleep and keep its slot."""

from __future__ import annotations

import asyncio

import structlog

from cdc.errors import ConfigurationError
from cdc.store import backfills, server
from cdc.store.connect import Connection

log = structlog.get_logger(__name__)

_LOOK = 0.5
_PATIENCE = 15.0
"""Seconds without a row after which a backfill is not waited for: it waits for a function, say."""

_NEON = 40 * 3600.0
"""Seconds after which Neon removes a slot that does not move, as its documentation says (2026-01)."""


def tell_that_it_stays_awake() -> None:
    """A database that holds the state cannot sleep."""
    log.warning(
        "the watched database is kept awake: it holds the state, which workers poll",
        hint="Put the state elsewhere with CDC_STATE_DATABASE_URL, or run 'cdc drain' from cron instead of 'cdc run'.",
    )


async def until_backfilled(conn: Connection, source: str) -> None:
    """Wait for the source's backfills, as long as they get any further: they are read beside the stream."""
    seen: list[tuple[int, int]] | None = None
    since = asyncio.get_running_loop().time()
    while active := await backfills.active(conn, source):
        now, reached = asyncio.get_running_loop().time(), [(each.id, each.rows_done) for each in active]
        if reached != seen:
            seen, since = reached, now
        elif now - since > _PATIENCE:
            log.warning("backfills wait for the next drain", source=source, tables=[str(each) for each in active])
            return
        await asyncio.sleep(_LOOK)


async def check(conn: Connection, url: str, every: float) -> None:
    """Whether the slot lives long enough from one drain to the next.

    Raises:
        ConfigurationError: the server would invalidate it before.
    """
    limit = await server.idle_limit(conn)
    if limit is not None and every >= limit:
        raise ConfigurationError(
            f"CDC_LISTEN reads every {every:.0f} seconds, and this server gives up a slot that nobody reads for "
            f"{limit:.0f} (idle_replication_slot_timeout).",
            hint="Read more often, or raise that setting.",
        )
    if every >= _NEON and (".neon." in url or await server.branch(conn)):
        log.warning("Neon removes a slot that does not move for about 40 hours", seconds=every)
