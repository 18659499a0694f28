"""When an embedding is filled: its backfill has read all rows, and none of them still lacks its vector."""

from __future__ import annotations

import asyncio

from cdc.store import indexes
from cdc.store.backfills import Declared
from cdc.store.connect import Connection
from cdc.store.embeddings import Layout
from cdc.store.vectors import Key

LOOK = 2.0
"""Seconds between two looks at what is being filled. A row that has no vector at both is not just on its way."""

SELDOM = 60.0

_MOST = 1_000
_COST = 20
"""How many times as long as a look took, at least, it is until the next."""


class Filled:
    """Remembers what lacked vectors at the look before, and what was filled."""

    def __init__(self) -> None:
        self._lacking: dict[int, frozenset[Key]] = {}
        self._filled: set[int] = set()

    async def until(self, conn: Connection, layout: Layout, backfill: Declared | None) -> float:
        """Seconds to wait before it is looked at again; 0: every row that should have its vector has it.

        Rows that were written just now are on their way and count for nothing; texts put aside need no vector.
        """
        id_, clock = layout.declaration.id, asyncio.get_running_loop().time
        if backfill is None or backfill.status != "done":
            self._filled.discard(id_)
            return LOOK if backfill and not backfill.is_over else SELDOM
        if id_ in self._filled:
            return 0.0
        began = clock()
        before, now = self._lacking.get(id_), await indexes.lacking(conn, layout, _MOST)
        self._lacking[id_] = now
        if now and (before is None or now & before or len(now) == _MOST):
            return min(max(LOOK, (clock() - began) * _COST), SELDOM)
        self._filled.add(id_)
        return 0.0
