"""How much fits one request: what the provider documents, and what its answers teach.

Texts are not counted in tokens, which costs more than all else about them. A token is taken for a character until the
provider has said how many it counted.
"""

from __future__ import annotations

from collections.abc import Sequence

_MARGIN = 1.2
"""Texts may be denser than those we know."""

_FORGET = 0.3

_DENSEST = 4.0
"""Tokens a character: a character is at most four bytes, and a token is seldom less than one."""


class Room:
    """Of requests for one model. `inputs` and `tokens` are what one may carry."""

    def __init__(self, inputs: int, tokens: int) -> None:
        self.inputs = inputs
        self.tokens = tokens
        self._density = 1.0

    def estimate(self, characters: int) -> float:
        """About how many tokens so many characters are; seldom less than there are."""
        return characters * self._density

    def held(self, texts: Sequence[str], tokens: int | None) -> None:
        """The provider counted so many tokens in these; quickly believed when it is more than we thought."""
        characters = sum(map(len, texts))
        if tokens is None or not characters:
            return
        density = min(tokens / characters * _MARGIN, _DENSEST)
        known = self._density
        self._density = density if density > known else known + (density - known) * _FORGET

    def was_too_much(self, texts: Sequence[str]) -> None:
        """The provider refused these together, and took each of them in smaller requests."""
        if self.estimate(sum(map(len, texts))) > self.tokens / 2 and self._density < _DENSEST:
            self._density = min(self._density * 2, _DENSEST)
        else:  # a server of the user's own that takes fewer
            self.inputs = min(self.inputs, (len(texts) + 1) // 2)
