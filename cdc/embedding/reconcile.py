"""Makes stored vectors those of the rows' present texts.

It works on state: events say which rows to look at, how these stand says what to do. A key is done when a read, taken
after everything that was written, finds the stored vector to be that of the present text. So repeats, reorderings,
late answers and crashes are harmless, and a write-back of our own finds nothing to do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from cdc.ai.errors import InputRefused
from cdc.authoring.context import Counts, Database, Embed
from cdc.errors import NonRetriableError, RetryAfter
from cdc.store import vectors
from cdc.store.embeddings import Layout
from cdc.store.vectors import Key, Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

Outcome = Literal["embedded", "unchanged", "cleared", "refused"]

_ROUNDS = 8
"""Two do when nobody interferes: one that writes, one that finds nothing left to do."""

_LARGEST_HALF = 65_504

_PAUSE = 0.05
"""Seconds, times the number of the round, after a round in which nothing could be done."""

_COME_BACK = 5.0
"""Seconds until a run that could not finish tries again."""


class NotYet(RetryAfter):
    """What we wait for is in others' hands; it costs no attempt, however long it takes."""

    counts_as_attempt = False

    def __init__(self, message: str) -> None:
        super().__init__(message, delay=_COME_BACK)


async def reconcile(layout: Layout, db: Database, embed: Embed, keys: Sequence[Key]) -> Counts:
    """Bring the vectors of a few hundred distinct keys up to date.

    No connection is held while the texts are embedded, and no lock on a row waited for.

    Raises:
        NotYet: others hold rows.
        RetryAfter: rows are changed faster than they are embedded.
        NonRetriableError: the model's vectors have other dimensions than the target.
    """
    work, asked = _Reconciliation(layout, db, embed), 0
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


class _Reconciliation:
    """What was done with each key, and the answers so far, by hash of the text."""

    def __init__(self, layout: Layout, db: Database, embed: Embed) -> None:
        self._layout = layout
        self._db = db
        self._embed = embed
        self._outcomes: dict[Key, Outcome] = {}
        self._answers: dict[bytes | None, NDArray[np.float32] | Exception] = {}

    @property
    def counts(self) -> Counts:
        return Counts(**Counter[str](self._outcomes.values()))

    async def look(self, keys: Sequence[Key]) -> tuple[list[Reading], int]:
        """What is not as it should be, and how much was removed at once because it should not be there."""
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
        """Embed the texts that were not embedded in an earlier round, each once; returns how many there were."""
        texts = {found.hash: found.text for found in wanting if found.text and found.hash not in self._answers}
        if texts:
            model = self._layout.declaration.model
            assert model is not None, "a prepared declaration has its model pinned"
            answers = await self._embed(model, [text for text in texts.values() if text])
            self._answers.update(zip(texts, map(self._checked, answers), strict=True))
        return len(texts)

    async def write(self, wanting: Sequence[Reading]) -> int:
        """Store what was answered; returns how many rows got a vector or were put aside."""
        accepted: dict[Reading, NDArray[np.float32]] = {}
        refused: dict[Reading, str] = {}
        for found in wanting:
            answer = self._answers[found.hash]
            if isinstance(answer, Exception):
                refused[found] = " ".join(filter(None, (str(answer), getattr(answer, "detail", ""))))
            else:
                accepted[found] = answer
        if not wanting:
            return 0
        async with self._db.connection() as conn:
            written = await vectors.write(conn, self._layout, accepted)
            await vectors.put_aside(conn, self._layout, refused)
        self._outcomes.update({found.key: "refused" if found in refused else "embedded" for found in wanting})
        return written + len(refused)

    def _checked(self, answer: NDArray[np.float32] | Exception) -> NDArray[np.float32] | Exception:
        """The answer, if the target can take it; one odd vector must not spoil the statement of all."""
        if isinstance(answer, Exception):
            return answer
        to = self._layout.declaration
        if len(answer) != to.dimensions:
            raise NonRetriableError(
                f"{to.model} answers with {len(answer)} dimensions; {to.target} was made for {to.dimensions}."
            )
        largest = np.abs(answer).max()
        if not np.isfinite(largest) or (to.vector_type == "halfvec" and largest > _LARGEST_HALF):
            return InputRefused(f"{to.vector_type} cannot hold the model's vector of this text.")
        return answer
