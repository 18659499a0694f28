"""The Postgres that comes along when no DATABASE_URL is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from cdc import embedded
from cdc.errors import ConfigurationError

log = structlog.get_logger(__name__)


@asynccontextmanager
async def own_postgres(directory: Path | None = None) -> AsyncIterator[str]:
    """Start it and yield its URL; stopped at the end, unless it was running before.

    Raises:
        ConfigurationError: the extra that brings it is not installed.
    """
    try:
        server = embedded.Postgres(directory or embedded.default_directory())
    except ConfigurationError as absent:
        raise ConfigurationError(
            "DATABASE_URL is not set, and the embedded Postgres is not installed.",
            hint=f"Set DATABASE_URL to the database to watch, or: {absent.hint}",
        ) from None
    async with server:
        log.info("embedded postgres", directory=str(directory or embedded.default_directory()), url=_shown(server.url))
        yield server.url


def _shown(url: str) -> str:
    """A URL without its password."""
    scheme, _, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    return f"{scheme}://{credentials.partition(':')[0]}{at}{place}"
