"""`cdc embed errors` and `cdc embed retry`: the texts that were put aside."""

from __future__ import annotations

import asyncio

from rich import print as say
from rich.table import Table

from cdc import config
from cdc.cli import showing
from cdc.cli.database import DEFAULT, Source, database_url
from cdc.errors import ConfigurationError
from cdc.service import embedding_refused as service
from cdc.store.refused import Refused


def errors(table: str | None = None, *, into: str | None = None, limit: int = 100, source: Source = DEFAULT) -> None:
    """List the texts that were put aside, the latest first: the key of each row, when it was, and why.

    Args:
        table: only rows of this table, named with its schema when that is not public.
        into: only of this target.
        limit: how many, 1 to 1000.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    if not 1 <= limit <= 1000:
        raise ConfigurationError("--limit must be 1 to 1000.")
    settings = config.load()
    found = asyncio.run(service.listed(database_url(settings, source), table, into, limit))
    showing.show(_sheet(found) if found else "Nothing is put aside.")


def retry(table: str, *, into: str | None = None, key: str | None = None, source: Source = DEFAULT) -> int:
    """Try texts again that were put aside. The rows stay as they are; the running service looks at them anew.

    Args:
        table: the table, with its schema when that is not public.
        into: only for this target.
        key: only the row with this key; one of several columns is written as in 'cdc.embedding_errors'.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    count = asyncio.run(service.retry(database_url(settings, source), table, into, key))
    say(
        f"{count:,} row{'' if count == 1 else 's'} will be looked at again." if count else "Nothing is put aside there."
    )
    return 0 if count else 1


def _sheet(found: list[Refused]) -> Table:
    sheet = showing.table("table", "target", "key", "chunk", "since", "reason")
    for each in found:
        chunk = "" if each.ordinal is None else str(each.ordinal)
        sheet.add_row(each.source, each.target, ", ".join(each.key), chunk, showing.time(each.failed_at), each.reason)
    return sheet
