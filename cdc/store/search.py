"""Calls cdc.search(), which finds rows by their vectors and their words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pgvector import Vector
from psycopg import DataError, ProgrammingError, errors

from cdc.authoring.hit import Filter, Hit
from cdc.errors import ConfigurationError, DatabaseRefused
from cdc.store.embeddings import Connection, Declaration, said
from cdc.store.queries import text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


async def search(
    conn: Connection,
    declaration: Declaration,
    query: NDArray[np.float32],
    *,
    limit: int,
    filter: Filter | None = None,
    words: str | None = None,
    language: str = "simple",
    columns: Sequence[str] | None = None,
    every_chunk: bool = False,
) -> list[Hit]:
    """The `limit` rows nearest to a vector, nearest first; with `words` also those that have them, best first.

    Raises:
        ConfigurationError: a column, a value of the filter, or the language cannot be used.
        DatabaseRefused: our role may not read it.
    """
    parameters = {
        "schema": declaration.table_schema,
        "name": declaration.table_name,
        "query": Vector(query).to_text(),
        "limit": limit,
        "filter": None if filter is None else json.dumps(dict(filter), default=str),
        "words": words,
        "target": declaration.target,
        "language": language,
        "columns": list(declaration.columns if columns is None else columns),
        "every_chunk": every_chunk,
    }
    try:
        async with conn.transaction():
            rows = await (await conn.execute(text("embedding/search"), parameters)).fetchall()
    except errors.InsufficientPrivilege as error:
        raise DatabaseRefused(said(error), hint="Grant it to the role that searches.") from None
    except (ProgrammingError, DataError) as error:
        hint = (
            error.diag.message_hint or "Check the language, and that the filter's values are of their columns' types."
        )
        raise ConfigurationError(said(error), hint=hint) from None
    return [_hit(declaration, *row) for row in rows]


def _hit(declaration: Declaration, key: dict[str, Any], row: dict[str, Any], distance: float, *rest: Any) -> Hit:
    similarity = {"cosine": 1 - distance, "inner_product": -distance}.get(declaration.metric)
    return Hit(key, row, distance, similarity, *rest)
