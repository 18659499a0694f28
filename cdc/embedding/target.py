"""One target: where the vectors of one `cdc.embed()` go, and keeping them there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from cdc.authoring.context import Counts, Database, Embed
from cdc.authoring.event import Event
from cdc.embedding.keys import touched
from cdc.embedding.reconcile import NotYet, reconcile
from cdc.store import vectors
from cdc.store.embeddings import Layout
from cdc.store.vectors import Key

AT_ONCE = 512
"""Rows that are read, embedded and written together."""

_ORPHANS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class Target:
    """Implements `cdc.authoring.context.EmbeddingTarget`."""

    layout: Layout

    def __str__(self) -> str:
        return self.layout.declaration.target

    async def follow(self, db: Database, embed: Embed, changes: Sequence[Event], /) -> Counts:
        """See `EmbeddingTarget`. After a change without a key, such as a truncate, the whole target is swept."""
        if self.layout.declaration.prepared_at is None:
            raise NotYet(f"The target {self} is still being made.")
        names = [column.name for column in self.layout.key]
        found = [touched(change, names) for change in changes]
        counts = await self.reconcile(db, embed, list(chain.from_iterable(found)))
        return counts if all(found) else counts + await self.sweep(db, embed)

    async def reconcile(self, db: Database, embed: Embed, keys: Sequence[Key], /) -> Counts:
        """Make the vectors of these keys those of the rows' present texts; a key may have no row.

        Raises:
            NotYet: others hold rows.
            RetryAfter: rows are changed faster than they are embedded.
            NonRetriableError: the model's vectors have other dimensions than the target.
        """
        distinct = list(dict.fromkeys(keys))
        counts = Counts()
        for first in range(0, len(distinct), AT_ONCE):
            counts += await self._reconciled(db, embed, distinct[first : first + AT_ONCE])
        return counts

    async def _reconciled(self, db: Database, embed: Embed, keys: Sequence[Key]) -> Counts:
        """The same for a few hundred keys; a row whose text cannot be made is put aside, and the others go on."""
        try:
            return await reconcile(self.layout, db, embed, keys)
        except Exception as error:
            reason = vectors.why_no_text(error)
            if reason is None:
                raise
        if len(keys) == 1:
            async with db.connection() as conn:
                await vectors.put_aside_unread(conn, self.layout, keys[0], reason)
            return Counts(refused=1)
        middle = len(keys) // 2
        return await self._reconciled(db, embed, keys[:middle]) + await self._reconciled(db, embed, keys[middle:])

    async def sweep(self, db: Database, embed: Embed, /) -> Counts:
        """Remove what is stored for rows that are gone.

        Raises:
            NotYet, RetryAfter, NonRetriableError: as `reconcile`.
        """
        counts = Counts()
        while orphans := await self._orphans(db):
            counts += await self.reconcile(db, embed, orphans)
        return counts

    async def _orphans(self, db: Database) -> list[Key]:
        async with db.connection() as conn:
            return await vectors.orphans(conn, self.layout, _ORPHANS_AT_ONCE)
