"""What the values of columns were, as hashes, for tables whose columns triggers narrow on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cdc.store.arrays import plain, quoted
from cdc.store.connect import Connection
from cdc.store.queries import text

Table = tuple[str, str]


class Known(NamedTuple):
    """What is known of a table: under which id, for which identity, and the hashes (JSON) of rows by their keys."""

    id: int | None
    identity: str
    hashes: dict[str, str]


async def keep_tables(conn: Connection, source_id: int, tables: Iterable[Table]) -> None:
    """Forget all tables of a source but these."""
    schemas, names = _columns(tables)
    await conn.execute(
        text("row_hashes/keep_tables"), {"source_id": source_id, "schemas": quoted(schemas), "names": quoted(names)}
    )


async def known(conn: Connection, source_id: int, table: Table, keys: Iterable[str]) -> Known:
    """What is known of a table, and of its rows with these keys."""
    parameters = {"source_id": source_id, "schema": table[0], "name": table[1], "keys": plain(keys)}
    rows = await (await conn.execute(text("row_hashes/known"), parameters)).fetchall()
    if not rows:
        return Known(None, "", {})
    id_, identity, _, _ = rows[0]
    return Known(id_, identity, {key: hashes for _, _, key, hashes in rows if key is not None})


async def renew_tables(conn: Connection, source_id: int, identities: Mapping[Table, str]) -> dict[Table, int]:
    """Begin anew with these tables, of which nothing is known; their ids from now on."""
    schemas, names = _columns(identities)
    parameters = {
        "source_id": source_id,
        "schemas": quoted(schemas),
        "names": quoted(names),
        "identities": quoted(identities.values()),
    }
    cursor = await conn.execute(text("row_hashes/renew_tables"), parameters)
    return {(schema, name): id_ for schema, name, id_ in await cursor.fetchall()}


async def keep(conn: Connection, rows: Sequence[tuple[int, str, str]]) -> None:
    """Remember (table, key, hashes) of rows."""
    tables, keys, hashes = zip(*sorted(rows), strict=True)
    parameters = {"tables": plain(tables), "keys": plain(keys), "hashes": quoted(hashes)}
    await conn.execute(text("row_hashes/keep"), parameters)


async def drop(conn: Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Forget (table, key) of rows."""
    tables, keys = zip(*sorted(rows), strict=True)
    await conn.execute(text("row_hashes/drop"), {"tables": plain(tables), "keys": plain(keys)})


async def prune(conn: Connection, limit: int) -> int:
    """Delete up to `limit` rows of tables that were forgotten; how many."""
    return (await conn.execute(text("row_hashes/prune"), {"limit": limit})).rowcount


def _columns(tables: Iterable[Table]) -> tuple[list[str], list[str]]:
    pairs = list(tables)
    return [schema for schema, _ in pairs], [name for _, name in pairs]
