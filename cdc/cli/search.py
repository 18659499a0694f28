"""`cdc search`: rows by meaning."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.table import Table

from cdc import config
from cdc.cli.database import DEFAULT, Source, database_url
from cdc.embedding.search import Hit
from cdc.errors import ConfigurationError
from cdc.service import embeddings


def search(table: str, words: str, *, limit: int = 5, into: str | None = None, source: Source = DEFAULT) -> None:
    """Find the rows nearest in meaning to some words.

    Args:
        table: a table with a declared embedding, with its schema when that is not public.
        words: what to look for.
        limit: how many rows, 1 to 1000.
        into: the target to search, when the table has several.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    if not 1 <= limit <= 1000:
        raise ConfigurationError("--limit must be 1 to 1000.")
    settings = config.load()
    hits = asyncio.run(embeddings.search(settings, database_url(settings, source), table, words, limit, into))
    Console().print(shown(hits) if hits else "Nothing is embedded yet.")


def shown(hits: list[Hit]) -> Table:
    """Hits as a table: similarity (1 is the same), key, and the start of each column."""
    table = Table(*("similarity", *hits[0].key, *hits[0].columns))
    for hit in hits:
        values = [_start(value) for value in hit.columns.values()]
        table.add_row(f"{1 - hit.distance:.3f}", *hit.key.values(), *values)
    return table


def _start(value: str | None, length: int = 90) -> str:
    line = " ".join((value or "").split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
