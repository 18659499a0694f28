"""Finds rows by meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cdc.authoring.context import Embed
from cdc.errors import ConfigurationError
from cdc.store import embeddings, vectors
from cdc.store.embeddings import Layout
from cdc.store.vectors import Hit

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Connection = AsyncConnection[tuple[Any, ...]]

__all__ = ["Hit", "search"]


async def search(
    conn: Connection, embed: Embed, table: tuple[str, str], words: str, limit: int, target: str | None = None
) -> list[Hit]:
    """The rows of (schema, table) nearest in meaning to some words, nearest first, at most `limit`.

    The words are embedded by the model that the target is pinned to. `target` is needed when there are several: a
    target table's or column's name, with or without what it is in.

    Raises:
        ConfigurationError: the table has no such target, several, or one that is not ready.
        Exception: what `embed` raises, or has instead of a vector when the provider refuses the words.
    """
    layout = _chosen(await embeddings.layouts(conn, table), ".".join(table), target)
    declaration = layout.declaration
    if declaration.model is None or declaration.prepared_at is None:
        reason = declaration.problem or "It is still being made."
        raise ConfigurationError(f"{declaration.target} cannot be searched yet.", hint=reason)
    (answer,) = await embed(declaration.model, [words])
    if isinstance(answer, Exception):
        raise answer
    return await vectors.search(conn, layout, answer, limit)


def _chosen(layouts: list[Layout], table: str, target: str | None) -> Layout:
    matching = [layout for layout in layouts if target is None or _is_named(layout, target)]
    if len(matching) == 1:
        return matching[0]
    if not layouts:
        raise ConfigurationError(
            f"{table} has no embedding.", hint=f"Declare one: SELECT cdc.embed('{table}', ARRAY['<column>']);"
        )
    known = ", ".join(layout.declaration.target for layout in layouts)
    raise ConfigurationError(
        f"{table} has {'several targets' if matching else f'no target {target}'}.", hint=f"Name one of: {known}."
    )


def _is_named(layout: Layout, target: str) -> bool:
    """Whether the target is called so: `a.b.c` is called `c`, `b.c` and `a.b.c`."""
    return f".{layout.declaration.target}".endswith(f".{target}")
