"""What the model answered to the texts of one reconciliation, by their hashes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cdc.ai.errors import InputRefused
from cdc.authoring.context import Embed
from cdc.errors import NonRetriableError
from cdc.store.embeddings import Declaration

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Answer = NDArray[np.float32] | Exception

_LARGEST_HALF = 65_504


class Answers:
    """Asks for each text once, however many rounds look at it; for a refused one again once it is forgotten."""

    def __init__(self, declaration: Declaration, embed: Embed) -> None:
        self._declaration = declaration
        self._embed = embed
        self._answers: dict[bytes, Answer] = {}

    async def ask(self, texts: Mapping[bytes, str]) -> int:
        """Embed the texts, given by their hashes, that were not asked for before; returns how many these were.

        Raises:
            RetryAfter: the provider is down.
            NonRetriableError: the model's vectors have other dimensions than the target.
        """
        unknown = {hash_: text for hash_, text in texts.items() if hash_ not in self._answers}
        if unknown:
            model = self._declaration.model
            assert model is not None, "a prepared declaration has its model pinned"
            answers = await self._embed(model, list(unknown.values()))
            self._answers.update(zip(unknown, map(self._checked, answers), strict=True))
        return len(unknown)

    def vector(self, hash_: bytes) -> NDArray[np.float32] | None:
        """The vector of a text; None when there was no answer, or a refusal."""
        answer = self._answers.get(hash_)
        return None if isinstance(answer, Exception) else answer

    def refusal(self, hash_: bytes) -> str | None:
        """Why there is no vector of a text; None when it was not refused."""
        answer = self._answers.get(hash_)
        if not isinstance(answer, Exception):
            return None
        return " ".join(filter(None, (str(answer), getattr(answer, "detail", ""))))

    def forget(self, refused: Iterable[bytes]) -> None:
        """These refusals are written down; where that is gone again, somebody wants the text to be tried again."""
        for hash_ in refused:
            self._answers.pop(hash_, None)

    def _checked(self, answer: Answer) -> Answer:
        """The answer, if the target can take it; one odd vector must not spoil the statement of all."""
        if isinstance(answer, Exception):
            return answer
        to = self._declaration
        if len(answer) != to.dimensions:
            raise NonRetriableError(
                f"{to.model} answers with {len(answer)} dimensions; {to.target} was made for {to.dimensions}."
            )
        largest = abs(answer).max()
        if not math.isfinite(largest) or (to.vector_type == "halfvec" and largest > _LARGEST_HALF):
            return InputRefused(f"No {to.vector_type} can hold the model's vector of this text.")
        return answer
