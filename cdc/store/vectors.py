"""Vectors where they stand: reading, writing and clearing them by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pgvector import HalfVector, Vector
from pgvector.psycopg.halfvec import register_halfvec_info
from pgvector.psycopg.vector import register_vector_info
from psycopg import DataError, errors
from psycopg.types import TypeInfo

from cdc.store.embeddings import Connection, Layout, one, said
from cdc.store.parts import statement, vector_type
from cdc.store.queries import text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Key = tuple[str, ...]
"""The text forms of a row's key columns, in the order of the primary key."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How one row and its vector stood.

    `hash` is the SHA-256 of the row's text, None without row or text; `stored` of the text whose vector is stored, None
    without one; `refused` of the text that was put aside. `text` is there when it may have to be embedded.
    """

    key: Key
    hash: bytes | None
    stored: bytes | None
    refused: bytes | None
    text: str | None

    @property
    def wanted(self) -> bytes | None:
        """The hash of the text whose vector should be stored; None when none should."""
        return None if self.hash == self.refused else self.hash

    @property
    def settled(self) -> bool:
        """Whether what is stored is what should be, and nothing is put aside without need."""
        return self.wanted == self.stored and not self.refusal_is_outdated

    @property
    def refusal_is_outdated(self) -> bool:
        """Whether another text than the present one was put aside."""
        return self.refused is not None and self.refused != self.hash


@dataclass(frozen=True, slots=True)
class Failure:
    """A text put aside."""

    key: Key
    reason: str
    failed_at: datetime


async def read(conn: Connection, layout: Layout, keys: Sequence[Key]) -> list[Reading]:
    """How the rows of these keys and their vectors stand; empty when the declaration was forgotten."""
    rows = await conn.execute(statement("read", layout), by_key(layout, keys))
    return [Reading(keys[place - 1], *rest) for place, *rest in await rows.fetchall()]


async def write(conn: Connection, layout: Layout, found: Mapping[Reading, NDArray[np.float32]]) -> int:
    """Store the vectors of these readings where nothing has changed since; returns how many were."""
    if not found:
        return 0
    await register_vector(conn, layout)
    parameters = _as_read(layout, list(found)) | {"vectors": [parameter(layout, vector) for vector in found.values()]}
    return int((await one(conn, statement("write", layout), parameters))[0])


async def clear(conn: Connection, layout: Layout, found: Sequence[Reading]) -> int:
    """Remove the vectors of readings that should have none, where nothing has changed since; returns how many were."""
    if not found:
        return 0
    return int((await one(conn, statement("clear", layout), _as_read(layout, found)))[0])


async def put_aside(conn: Connection, layout: Layout, refused: Mapping[Reading, str]) -> None:
    """Remember that the texts of these readings are refused, and why."""
    if refused:
        parameters = _as_read(layout, list(refused)) | {"reasons": [storable(reason) for reason in refused.values()]}
        await conn.execute(statement("put_aside", layout), parameters)


async def put_aside_unread(conn: Connection, layout: Layout, key: Key, reason: str) -> None:
    """Remember that the text of a row cannot be made, and why. No text has its hash, so that any takes it back."""
    parameters = by_key(layout, [key]) | {"hashes": [b""], "reasons": [storable(reason)]}
    await conn.execute(statement("put_aside", layout), parameters)


def why_no_text(error: Exception) -> str | None:
    """What the server says of an expression or filter that fails for a row; None: it is another error."""
    return said(error) if isinstance(error, DataError | errors.CardinalityViolation) else None


async def take_back(conn: Connection, layout: Layout, found: Sequence[Reading]) -> int:
    """Forget that other texts of these rows were put aside; returns how many were."""
    if not found:
        return 0
    return (await conn.execute(statement("take_back", layout), _as_read(layout, found))).rowcount


async def put_aside_list(conn: Connection, layout: Layout, limit: int) -> list[Failure]:
    """The texts put aside last."""
    rows = await conn.execute(text("embedding/put_aside_list"), {"id": layout.declaration.id, "limit": limit})
    return [Failure(tuple(key), reason, failed_at) for key, reason, failed_at in await rows.fetchall()]


async def orphans(conn: Connection, layout: Layout, limit: int) -> list[Key]:
    """Keys for which something is stored although their row is gone."""
    rows = await conn.execute(statement("orphans", layout), {"id": layout.declaration.id, "limit": limit})
    return [tuple(key) for (key,) in await rows.fetchall()]


def parameter(layout: Layout, vector: NDArray[np.float32]) -> Vector | HalfVector:
    """A vector as a statement about this target takes it."""
    return Vector(vector) if layout.declaration.vector_type == "vector" else HalfVector(vector)


async def register_vector(conn: Connection, layout: Layout) -> None:
    """Teach a connection the declared type of pgvector, wherever the extension lives; once per connection."""
    name = layout.declaration.vector_type
    if conn.adapters.types.get(name) is None:
        info = await TypeInfo.fetch(conn, vector_type(layout))
        assert info is not None, "the target is made of this type"
        (register_vector_info if name == "vector" else register_halfvec_info)(conn, info)


def by_key(layout: Layout, keys: Sequence[Key]) -> dict[str, Any]:
    """The parameters of a statement about these rows."""
    columns = {f"key_{n}": [key[n] for key in keys] for n in range(len(layout.key))}
    return {"id": layout.declaration.id, **columns}


def _as_read(layout: Layout, found: Sequence[Reading]) -> dict[str, Any]:
    """What the guards of a statement compare with."""
    return by_key(layout, [reading.key for reading in found]) | {
        "hashes": [reading.hash for reading in found],
        "seen": [reading.stored for reading in found],
        "refused": [reading.refused for reading in found],
    }


def storable(reason: str) -> str:
    """What a text column takes: no NUL, no lone surrogate."""
    return reason.replace("\0", "").encode("utf-8", "backslashreplace").decode()
