"""Chunks where they stand: reading and writing those of rows, by the rows' keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from cdc.store.embeddings import Connection, Layout, one
from cdc.store.parts import statement
from cdc.store.vectors import Key, by_key, parameter, register_vector, storable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Reading:
    """How one row and its chunks stood.

    `hash` is that of the row's text and of how it is split, None without row or text. `text` is there unless what is
    stored, if `anything` is, is as it should be.
    """

    key: Key
    hash: bytes | None
    as_it_should_be: bool
    anything: bool
    text: str | None

    @property
    def wanted(self) -> bytes | None:
        """The hash of the text whose chunks should be stored; None when none should."""
        return self.hash if self.as_it_should_be or (self.text and not self.text.isspace()) else None

    @property
    def settled(self) -> bool:
        """Whether what is stored is what should be."""
        return self.as_it_should_be or (self.wanted is None and not self.anything)


class Stored(NamedTuple):
    """A chunk as it stands: without a vector, and a reason for it, it was put aside."""

    ordinal: int
    hash: bytes
    has_vector: bool
    refusal: str | None


class Change(NamedTuple):
    """A chunk to be written: anew, or with chunk and vector of the one that stands at ordinal `taken`."""

    ordinal: int
    hash: bytes
    chunk: str | None
    vector: NDArray[np.float32] | None
    taken: int | None


class Refusal(NamedTuple):
    """A chunk without a vector, and why."""

    ordinal: int
    hash: bytes
    reason: str


@dataclass(slots=True)
class Plan:
    """What makes the chunks of one row those of its text: these written, and none from ordinal `count` on."""

    reading: Reading
    count: int = 0
    changes: list[Change] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


async def read(conn: Connection, layout: Layout, keys: Sequence[Key]) -> list[Reading]:
    """How the rows of these keys and their chunks stand; empty when the declaration was forgotten."""
    rows = await conn.execute(statement("read", layout), by_key(layout, keys))
    return [Reading(keys[place - 1], *rest) for place, *rest in await rows.fetchall()]


async def stored(conn: Connection, layout: Layout, keys: Sequence[Key]) -> dict[Key, list[Stored]]:
    """The chunks of each row, in no order."""
    found: dict[Key, list[Stored]] = {key: [] for key in keys}
    rows = await conn.execute(statement("stored", layout), by_key(layout, keys))
    for place, *chunk in await rows.fetchall():
        found[keys[place - 1]].append(Stored(*chunk))
    return found


async def guard(conn: Connection, layout: Layout, keys: Sequence[Key]) -> set[Key]:
    """Be the only one to write the chunks of these rows until the transaction ends; the keys of those we may write."""
    rows = await conn.execute(statement("guard", layout), by_key(layout, keys))
    return {keys[place - 1] for (place,) in await rows.fetchall()}


async def write(conn: Connection, layout: Layout, plans: Sequence[Plan]) -> int:
    """Carry out the plans of rows that are guarded, where the text has not changed since; returns how many were."""
    if not plans:
        return 0
    await register_vector(conn, layout)
    return int((await one(conn, statement("write", layout), _parameters(layout, plans)))[0])


def _parameters(layout: Layout, plans: Sequence[Plan]) -> dict[str, Any]:
    changes = [(place, change) for place, plan in enumerate(plans, 1) for change in plan.changes]
    refusals = [(place, refusal) for place, plan in enumerate(plans, 1) for refusal in plan.refusals]
    return by_key(layout, [plan.reading.key for plan in plans]) | {
        "hashes": [plan.reading.hash for plan in plans],
        "counts": [plan.count for plan in plans],
        "rows": [place for place, _ in changes],
        "ordinals": [change.ordinal for _, change in changes],
        "chunk_hashes": [change.hash for _, change in changes],
        "chunks": [change.chunk for _, change in changes],
        "vectors": [None if change.vector is None else parameter(layout, change.vector) for _, change in changes],
        "taken": [change.taken for _, change in changes],
        "aside_rows": [place for place, _ in refusals],
        "aside_ordinals": [refusal.ordinal for _, refusal in refusals],
        "aside_hashes": [refusal.hash for _, refusal in refusals],
        "reasons": [storable(refusal.reason) for _, refusal in refusals],
    }
