"""Those who wait for vectors, and the texts they share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cdc.embedding.providers import Vector

Result: TypeAlias = "Vector | Exception"


class Caller:
    """One caller, and the results that have come in for it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._results: dict[int, Result] = {}
        self.answer: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()

    def settle(self, place: int, result: Result) -> None:
        """The result of the text at this place."""
        self._results[place] = result
        if len(self._results) == self._size and not self.answer.done():
            self.answer.set_result([self._results[place] for place in range(self._size)])

    def fail(self, error: Exception) -> None:
        """There will be no results."""
        if not self.answer.done():
            self.answer.set_exception(error)
            # A caller cancelled right now will not look at it, and that is no mistake to complain about.
            self.answer.exception()


@dataclass(slots=True, eq=False)
class Text:
    """A text on its way, and the places in calls that it is wanted for; without places it is settled."""

    text: str
    places: list[tuple[Caller, int]] = field(default_factory=list)

    @property
    def wanted(self) -> bool:
        """Whether a caller still waits for it."""
        return any(not caller.answer.done() for caller, _ in self.places)
