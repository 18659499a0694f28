"""`cdc search`: rows by meaning."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from typing import Any

import orjson
from rich.table import Table

from cdc import config
from cdc.cli.database import DEFAULT, Source, database_url
from cdc.cli.showing import show, start_of
from cdc.embedding.search import Hit, Query
from cdc.errors import ConfigurationError
from cdc.printable import escaped
from cdc.service import embeddings
from cdc.store.json import document
from cdc.store.names import table_of

_HOW = """Write --filter tenant_id=7, or --filter '{"tenant_id": 7, "kind": ["a", "b"], "deleted_at": null}'."""


def search(
    table: str,
    words: str,
    *,
    limit: int = 5,
    filter: list[str] | None = None,
    hybrid: bool = False,
    language: str = "simple",
    into: str | None = None,
    columns: str | None = None,
    every_chunk: bool = False,
    json: bool = False,
    source: Source = DEFAULT,
) -> None:
    """Find the rows nearest in meaning to some words.

    Args:
        table: a table with a declared embedding, with its schema when that is not public.
        words: what to look for.
        limit: how many rows, 1 to 1000.
        filter: only rows with this value in a column, such as tenant_id=7; may be repeated: with the same column any of
            its values, with several all of them. Or a JSON object of columns and values.
        hybrid: find also the rows that have the words, and join both lists by their ranks.
        language: how the words of a hybrid search are read, such as english; a text search configuration.
        into: the target to search, when the table has several.
        columns: names of columns to show, separated by commas; by default those that are embedded.
        every_chunk: show each piece of a text that is near, rather than each row once.
        json: print one JSON object a line, for scripts.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    query = Query(
        table_of(table),
        words,
        limit,
        into,
        _filter(filter or []),
        hybrid,
        language,
        [name.strip() for name in columns.split(",")] if columns else None,
        every_chunk,
    )
    settings = config.load()
    hits = asyncio.run(embeddings.search(settings, database_url(settings, source), query))
    if json:
        for hit in hits:
            sys.stdout.write(document(asdict(hit)).strip() + "\n")
    else:
        show(shown(hits) if hits else "Nothing was found." if query.filter else "Nothing is embedded yet.")


def shown(hits: list[Hit]) -> Table:
    """Hits as a table: how near they are (1 is the same, or without such a measure the distance), key, and the start
    of each column, and of the chunk where there is one.
    """
    first = hits[0]
    scores = [] if first.score is None else ["score"]
    near = "distance" if first.similarity is None else "similarity"
    chunk = [] if first.chunk is None else ["chunk"]
    table = Table(*scores, near, *first.key, *chunk, *first.columns)
    for hit in hits:
        numbers = [] if hit.score is None else [f"{hit.score:.4f}"]
        measure = hit.distance if hit.similarity is None else hit.similarity
        pieces = [] if hit.chunk is None else [start_of(hit.chunk)]
        values = (start_of(value) for value in hit.columns.values())
        table.add_row(
            *numbers, f"{measure:.3f}", *(escaped(str(value)) for value in hit.key.values()), *pieces, *values
        )
    return table


def _filter(given: list[str]) -> dict[str, Any] | None:
    """What `--filter` says: columns and values.

    Raises:
        ConfigurationError: it cannot be read.
    """
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if each.startswith("{"):
            found |= _object(each)
        elif equals and name.strip():
            found.setdefault(name.strip(), []).append(value)
        else:
            raise ConfigurationError(f"The filter {each!r} cannot be read.", hint=_HOW)
    return found or None


def _object(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except ValueError:
        raise ConfigurationError(f"The filter {text!r} is not JSON.", hint=_HOW) from None
    return dict(found)
