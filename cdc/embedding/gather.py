"""Gathers the texts of all runs in the process into as few requests as the provider allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cdc import tracing
from cdc.ai.call import Call
from cdc.ai.spans import traced
from cdc.embedding.callers import Result
from cdc.embedding.lane import Lane
from cdc.embedding.models import Model, parse
from cdc.embedding.providers import Provider

__all__ = ["Embedder", "Result"]


class Embedder:
    """Embeds for all callers of one process and event loop, per model.

    `open_provider` is asked for a provider when a model is first used; `on_call` is told of every request.
    """

    def __init__(
        self, open_provider: Callable[[Model], Provider], *, on_call: Callable[[Call], None] = lambda call: None
    ) -> None:
        self._open_provider = open_provider
        self._on_call = on_call
        self._providers: dict[str, Provider] = {}
        self._lanes: dict[tuple[str, bool], Lane] = {}
        self._dimensions: dict[str, int] = {}

    async def embed(self, model: str, texts: Sequence[str], *, query: bool = False) -> Sequence[Result]:
        """One vector per text, in order; a text that the provider refuses has its InputRefused instead.

        `query`: the texts are words to search with, for which some models have other vectors. Vectors have shape
        (dimensions,) and are shared with others who asked for the same text: do not write to them.

        Raises:
            ConfigurationError: the model's name is wrong, or its key or package is missing.
            ProviderUnavailable: a request with one of the texts failed; asking again may help.
            ProviderRejected: a setting or an installation has to be mended first.
        """
        if not texts:
            return []
        lane = self._lane(model, query)
        if not tracing.on():
            return await lane.join(texts)
        asked = parse(model)
        # Of this caller: how long it waited. The request may be for many of them.
        with traced("embeddings", asked.provider, asked.id):
            return await lane.join(texts)

    async def embed_queries(self, model: str, texts: Sequence[str], /) -> Sequence[Result]:
        """The same of words to search with."""
        return await self.embed(model, texts, query=True)

    def check(self, model: str) -> None:
        """Open the model's provider, without asking it anything.

        Raises:
            ConfigurationError: the model's name is wrong, or its key or package is missing.
        """
        self._provider(model)

    async def dimensions(self, model: str) -> int:
        """The length of a model's vectors: known, or found by embedding one word.

        Raises:
            ConfigurationError, InputRefused, ProviderUnavailable, ProviderRejected: as `embed`.
        """
        known = parse(model).dimensions or self._dimensions.get(model)
        if known is not None:
            return known
        (result,) = await self.embed(model, ["dimensions"])
        if isinstance(result, Exception):
            raise result
        return self._dimensions.setdefault(model, len(result))

    async def close(self) -> None:
        """Close the providers; whoever still waits gets ProviderUnavailable."""
        lanes, self._lanes = self._lanes, {}
        providers, self._providers = self._providers, {}
        for lane in lanes.values():
            await lane.close()
        for provider in providers.values():
            await provider.close()

    def _lane(self, model: str, query: bool) -> Lane:
        provider = self._provider(model)
        key = (model, query and provider.tells_queries)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(parse(model), provider, query=key[1], on_call=self._on_call)
        return lane

    def _provider(self, model: str) -> Provider:
        provider = self._providers.get(model)
        if provider is None:
            provider = self._providers[model] = self._open_provider(parse(model))
        return provider
