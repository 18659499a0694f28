"""`cdc embed` and `cdc unembed`: declare what is embedded."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter
from rich import print as say

from cdc import config
from cdc.cli.database import DEFAULT, Source, database_url
from cdc.service import embeddings
from cdc.store.embeddings import Index, Metric, Options, VectorType


def embed(
    table: str,
    *,
    columns: str = "",
    template: str | None = None,
    expression: str | None = None,
    filter: str | None = None,
    into: str | None = None,
    chunk_tokens: int | None = None,
    chunk_overlap: int | None = None,
    model: str | None = None,
    dimensions: int | None = None,
    vector_type: VectorType | None = None,
    metric: Metric | None = None,
    index: Index | None = None,
    fk: Annotated[bool, Parameter(negative="")] = False,
    source: Source = DEFAULT,
) -> None:
    """Keep a vector of the text of every row of a table: of columns, a template or an expression.

    A running service picks the declaration up at once, rows that are there already included; otherwise the next
    'cdc run' does.

    Args:
        table: the table, with its schema when that is not public.
        columns: names of columns, separated by commas; data.title is a value in json column data.
        template: a text with names of columns in braces, such as '{title}: {data.author.name}'.
        expression: SQL over a row, such as 'title || left(body, 1000)'.
        filter: a condition in SQL; other rows have no vector.
        into: where the vectors go: a column of the same table, or another table. Without it, a table is made, called
            like this one with _embeddings added, or _chunks.
        chunk_tokens: split the text into chunks of at most so many tokens, each with a vector.
        chunk_overlap: so many tokens of a chunk stand in the next one, too.
        model: the model, such as openai/text-embedding-3-small; by default that of the settings.
        dimensions: the length of the vectors, for models that make several.
        vector_type: halfvec takes half the space; by default vector, or what an index can be made on.
        metric: what searches order by, cosine by default.
        index: the index that is made when all rows have their vectors; by default hnsw, but none on a column of the
            same table, where it makes each later update dear.
        fk: give a table of vectors a foreign key to this one.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    options = Options(
        template, expression, filter, chunk_tokens, chunk_overlap, dimensions, vector_type, metric, index, model, fk
    )
    made, rows = asyncio.run(
        embeddings.declare(settings, database_url(settings, source), table, columns, into, options)
    )
    half = made.vector_type == "halfvec"
    say(
        f"{made.source} is embedded into {made.target} by {made.model} ({made.dimensions} dimensions"
        f"{' in half precision' if half else ''})."
    )
    if half and vector_type is None:
        say("An index takes vectors of that length in half precision only; --vector-type vector --index none has none.")
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
