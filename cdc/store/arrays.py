"""Arrays as Postgres writes them (Postgres docs, section 8.15.6), for the hottest statement.

psycopg's own way costs several times as much for lists of text; the journal binds sixteen of them for each batch.
"""

from __future__ import annotations

from collections.abc import Iterable


def plain(items: Iterable[object]) -> str:
    """An array of numbers, booleans, uuids or names that need no quotes; None is NULL."""
    return "{" + ",".join(["NULL" if item is None else str(item) for item in items]) + "}"


def quoted(items: Iterable[object]) -> str:
    """An array of any texts; None is NULL."""
    return "{" + ",".join(["NULL" if item is None else _quoted(str(item)) for item in items]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
