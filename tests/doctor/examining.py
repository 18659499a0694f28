"""`examine`, with nothing set but what a test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from cdc.config import Settings
from cdc.embedded import Postgres
from cdc.service.doctor import Finding, examine
from cdc.service.named import Named
from tests.servers import Version, binaries


async def examined(url: str, **settings: Any) -> dict[str, Finding]:
    """The findings by their check; slot and publication are named like the database, as `open_listening` names them."""
    name = str(conninfo_to_dict(url)["dbname"])
    given = {"slot": name, "publication": name, **settings}
    chosen = Settings(database_url=SecretStr(url), **given)
    found = await examine(chosen, Named.home(chosen, url))
    assert all(bool(finding.next) == (finding.state != "ok") for finding in found.values()), found
    return found


def bad(found: Mapping[str, Finding]) -> set[str]:
    """The checks that failed."""
    return {check for check, finding in found.items() if finding.state == "failed"}


@asynccontextmanager
async def own_server(directory: Path, version: Version, **settings: str) -> AsyncIterator[Postgres]:
    """A server that a test may set up and spoil as it likes."""
    given = {"fsync": "off", **settings}
    async with Postgres(directory / version, binaries=binaries(version), settings=given) as postgres:
        yield postgres
