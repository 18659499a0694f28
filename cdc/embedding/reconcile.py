"""Makes stored vectors those of the rows' present texts.

It works on state: events say which rows to look at, how these stand says what to do. A key is done when a read, taken
after everything that was written, finds the stored vector to be that of the present text. So repeats, reorderings,
late answers and crashes are harmless, and a write-back of our own finds nothing to do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from cdc.authoring.context import Counts, Database, Embed
from cdc.embedding.answers import Answers
from cdc.embedding.chunks import ChunkedRows
from cdc.errors import RetryAfter
from cdc.store import vectors
from cdc.store.embeddings import Layout
from cdc.store.vectors import Key, Reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Outcome = Literal["embedded", "unchanged", "cleared", "refused"]

_ROUNDS = 8
"""Two do when nobody interferes: one that writes, one that finds nothing left to do."""

_PAUSE = 0.05
"""Seconds, times the number of the round, after a round in which nothing could be done."""

_COME_BACK = 5.0
"""Seconds until a run that could not finish tries again."""


class NotYet(RetryAfter):
    """What we wait for is in others' hands; it costs no attempt, however long it takes."""

    counts_as_attempt = False

    def __init__(self, message: str) -> None:
        super().__init__(message, delay=_COME_BACK)


class Found(Protocol):
    """How one row, and what is stored for it, stood."""

    @property
    def key(self) -> Key:
        """Of the row."""
        ...

    @property
    def wanted(self) -> bytes | None:
        """The hash of the text to be embedded; None when nothing should be stored."""
        ...


F = TypeVar("F", bound=Found)


class Work(Protocol[F]):
    """One kind of target, and what was done so far."""

    @property
    def counts(self) -> Counts:
        """What became of the rows."""
        ...

    async def look(self, keys: Sequence[Key]) -> tuple[list[F], int]:
        """What is not as it should be, and how much was removed at once because it should not be there."""
        ...

    async def answer(self, wanting: Sequence[F]) -> int:
        """Embed what has to be, unless an earlier round did; returns how many texts that were."""
        ...

    async def write(self, wanting: Sequence[F]) -> int:
        """Store what was answered; returns for how many rows."""
        ...


async def reconcile(layout: Layout, db: Database, embed: Embed, keys: Sequence[Key]) -> Counts:
    """Bring the vectors of a few hundred distinct keys up to date.

    No connection is held while the texts are embedded, and no lock on a row waited for.

    Raises:
        NotYet: others hold rows.
        RetryAfter: rows are changed faster than they are embedded.
        NonRetriableError: the model's vectors have other dimensions than the target.
    """
    if layout.declaration.target_kind == "chunks":
        return await _settle(ChunkedRows(layout, db, embed), layout, keys)
    return await _settle(WholeRows(layout, db, embed), layout, keys)


async def _settle(work: Work[F], layout: Layout, keys: Sequence[Key]) -> Counts:
    asked = 0
    for round_ in range(_ROUNDS):
        unsettled, removed = await work.look(keys)
        if not unsettled:
            return work.counts
        wanting = [found for found in unsettled if found.wanted is not None]
        asked = await work.answer(wanting)
        if not await work.write(wanting) and not removed:
            await asyncio.sleep(_PAUSE * round_)
        keys = [found.key for found in unsettled]
    rows = f"{len(keys)} rows of {layout.declaration.source}"
    if asked:
        raise RetryAfter(f"{rows} are changed faster than they are embedded.", delay=_COME_BACK)
    raise NotYet(f"{rows} are held by other transactions.")


class WholeRows:
    """Implements `Work` for one vector per row, in a table of its own or in a column."""

    def __init__(self, layout: Layout, db: Database, embed: Embed) -> None:
        self._layout = layout
        self._db = db
        self._outcomes: dict[Key, Outcome] = {}
        self._answers = Answers(layout.declaration, embed)

    @property
    def counts(self) -> Counts:
        """See `Work`."""
        return Counts(**Counter[str](self._outcomes.values()))

    async def look(self, keys: Sequence[Key]) -> tuple[list[Reading], int]:
        """See `Work`."""
        async with self._db.connection() as conn:
            readings = await vectors.read(conn, self._layout, keys)
            unsettled = [found for found in readings if not found.settled]
            outdated = [found for found in unsettled if found.refusal_is_outdated]
            unwanted = [found for found in unsettled if found.wanted is None]
            removed = await vectors.take_back(conn, self._layout, outdated)
            removed += await vectors.clear(conn, self._layout, unwanted)
        for found in readings:
            self._outcomes.setdefault(found.key, "unchanged" if found.settled else "cleared")
        return unsettled, removed

    async def answer(self, wanting: Sequence[Reading]) -> int:
        """See `Work`: each text once."""
        return await self._answers.ask({found.hash: found.text for found in wanting if found.hash and found.text})

    async def write(self, wanting: Sequence[Reading]) -> int:
        """See `Work`: rows that got a vector or were put aside."""
        accepted: dict[Reading, NDArray[np.float32]] = {}
        refused: dict[Reading, str] = {}
        for found in wanting:
            assert found.hash is not None, "what is wanted has a text"
            reason, vector = self._answers.refusal(found.hash), self._answers.vector(found.hash)
            if reason is not None:
                refused[found] = reason
            elif vector is not None:
                accepted[found] = vector
        if not wanting:
            return 0
        async with self._db.connection() as conn:
            written = await vectors.write(conn, self._layout, accepted)
            await vectors.put_aside(conn, self._layout, refused)
        self._answers.forget(found.hash for found in refused if found.hash)
        self._outcomes.update({found.key: "refused" if found in refused else "embedded" for found in wanting})
        return written + len(refused)
