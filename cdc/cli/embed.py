"""`cdc embed` and `cdc unembed`: declare what is embedded."""

from __future__ import annotations

import asyncio

from rich import print as say

from cdc import config
from cdc.cli.database import DEFAULT, Source, database_url
from cdc.service import embeddings


def embed(table: str, *, columns: str, into: str | None = None, source: Source = DEFAULT) -> None:
    """Keep a vector of some columns for every row of a table.

    A running service picks the declaration up at once, rows that are there already included; otherwise the next
    'cdc run' does.

    Args:
        table: the table, with its schema when that is not public.
        columns: names of text columns, separated by commas.
        into: where the vectors go: a column of the same table, or another table. Without it, a table is made, called
            like this one with _embeddings added.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    made, rows = asyncio.run(embeddings.declare(settings, database_url(settings, source), table, columns, into))
    say(f"{made.source} is embedded into {made.target} by {made.model} ({made.dimensions} dimensions).")
    if rows:
        say(
            f"The service backfills the rows that are there, about {rows:,}: 'cdc backfill --list' shows how far it is."
        )


def unembed(table: str, *, into: str | None = None, source: Source = DEFAULT) -> int:
    """Stop keeping vectors for a table; those that exist stay.

    Args:
        table: the table, with its schema when that is not public.
        into: only this target.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    count = asyncio.run(embeddings.forget(settings, database_url(settings, source), table, into))
    say(f"{count} declaration{'' if count == 1 else 's'} forgotten; the vectors stay where they are.")
    return 0 if count else 1
