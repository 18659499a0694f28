"""Makes stored chunks those of the rows' present texts; see `reconcile` for why that may be repeated and late.

A text that changes is split anew, and what it has in common with the stored chunks keeps its vectors, wherever it
moved to. Who writes a row's chunks holds its guard, and plans by what stands there then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from cdc.authoring.context import Counts, Database, Embed
from cdc.embedding import splitting
from cdc.embedding.answers import Answers
from cdc.store import chunk_tables
from cdc.store.chunk_tables import Change, Plan, Reading, Refusal, Stored
from cdc.store.embeddings import Layout
from cdc.store.vectors import Key

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    Connection = AsyncConnection[tuple[Any, ...]]

Outcome = Literal["embedded", "unchanged", "cleared", "refused"]
Chunk = tuple[bytes, str]
"""Its hash, of model and text, and the text."""

_AT_ONCE = 5_000
"""Chunks that one statement writes; a message to the server takes a gigabyte, and a chunk may have some 20 kB."""


class ChunkedRows:
    """Implements `reconcile.Work` for a table of chunks."""

    def __init__(self, layout: Layout, db: Database, embed: Embed) -> None:
        self._layout = layout
        self._db = db
        self._outcomes: dict[Key, Outcome] = {}
        self._answers = Answers(layout.declaration, embed)
        self._chunks: dict[bytes, list[Chunk]] = {}
        self._stored: dict[Key, list[Stored]] = {}

    @property
    def counts(self) -> Counts:
        """See `Work`."""
        return Counts(**Counter[str](self._outcomes.values()))

    async def look(self, keys: Sequence[Key]) -> tuple[list[Reading], int]:
        """What is not as it should be, and how much was removed at once because it should not be there."""
        async with self._db.connection() as conn:
            readings = await chunk_tables.read(conn, self._layout, keys)
            unsettled = [found for found in readings if not found.settled]
            wanting = [found.key for found in unsettled if found.wanted is not None]
            self._stored = await chunk_tables.stored(conn, self._layout, wanting) if wanting else {}
            removed = await self._write(conn, [found for found in unsettled if found.wanted is None])
        for found in readings:
            self._outcomes.setdefault(found.key, "unchanged" if found.settled else "cleared")
        return unsettled, removed

    async def answer(self, wanting: Sequence[Reading]) -> int:
        """Embed the chunks that no stored vector is of; returns how many there were."""
        await self._split(wanting)
        unknown: dict[bytes, str] = {}
        for found in wanting:
            known = {chunk.hash for chunk in self._stored[found.key] if chunk.has_vector or chunk.refusal}
            unknown.update((hash_, text) for hash_, text in self._chunks_of(found) if hash_ not in known)
        return await self._answers.ask(unknown)

    async def write(self, wanting: Sequence[Reading]) -> int:
        """Store the chunks of these rows; returns of how many."""
        if not wanting:
            return 0
        async with self._db.connection() as conn:
            return await self._write(conn, wanting)

    async def _write(self, conn: Connection, readings: Sequence[Reading]) -> int:
        if not readings:
            return 0
        ours = await chunk_tables.guard(conn, self._layout, [found.key for found in readings])
        # Not what `look` has seen: what stands there now that nobody else writes.
        stored = await chunk_tables.stored(conn, self._layout, list(ours)) if ours else {}
        plans = [self._plan(found, stored[found.key]) for found in readings if found.key in ours]
        complete = [plan for plan in plans if plan is not None]
        written = 0
        for some in _in_portions(complete):
            written += await chunk_tables.write(conn, self._layout, some)
        for plan in complete:
            if plan.count:
                self._outcomes[plan.reading.key] = "refused" if plan.refusals else "embedded"
            self._answers.forget(refusal.hash for refusal in plan.refusals)
        return written

    def _plan(self, found: Reading, stored: Sequence[Stored]) -> Plan | None:
        """What to write; None when a vector that was to be kept is gone: the next round asks for it."""
        chunks = self._chunks_of(found)
        there = {chunk.ordinal: chunk for chunk in stored}
        taken = {chunk.hash: chunk.ordinal for chunk in stored if chunk.has_vector}
        refused = {chunk.hash: chunk.refusal for chunk in stored if chunk.refusal}
        plan = Plan(found, len(chunks))
        for ordinal, (hash_, text) in enumerate(chunks):
            vector = self._answers.vector(hash_)
            reason = (
                None if hash_ in taken or vector is not None else self._answers.refusal(hash_) or refused.get(hash_)
            )
            if reason is not None:
                plan.refusals.append(Refusal(ordinal, hash_, reason))
            elif hash_ not in taken and vector is None:
                return None
            stands = there.get(ordinal)
            if stands is None or stands.hash != hash_ or stands.has_vector == (reason is not None):
                kept = Change(ordinal, hash_, None, None, taken.get(hash_))
                plan.changes.append(kept if hash_ in taken else Change(ordinal, hash_, text, vector, None))
        return plan

    def _chunks_of(self, found: Reading) -> list[Chunk]:
        return [] if found.wanted is None else self._chunks[found.wanted]

    async def _split(self, wanting: Sequence[Reading]) -> None:
        """Split the texts that were not split in an earlier round."""
        texts = {found.hash: found.text for found in wanting if found.hash and found.text}
        unknown = {hash_: text for hash_, text in texts.items() if hash_ not in self._chunks}
        if not unknown:
            return
        model = f"{self._layout.declaration.model}\n"
        split = await splitting.split(self._layout.declaration, list(unknown.values()))
        for hash_, chunks in zip(unknown, split, strict=True):
            self._chunks[hash_] = [(sha256(f"{model}{chunk}".encode()).digest(), chunk) for chunk in chunks]


def _in_portions(plans: Sequence[Plan]) -> Iterator[list[Plan]]:
    portion: list[Plan] = []
    size = 0
    for plan in plans:
        size += len(plan.changes)
        if portion and size > _AT_ONCE:
            yield portion
            portion, size = [], len(plan.changes)
        portion.append(plan)
    if portion:
        yield portion
