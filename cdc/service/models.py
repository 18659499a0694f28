"""The embedding models that the settings allow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cdc.config import Settings
from cdc.embedding import models
from cdc.embedding.gather import Embedder
from cdc.embedding.models import Model
from cdc.embedding.providers import opener


def embedder(settings: Settings) -> Embedder:
    """Embeds with every provider that is configured; loads none before it is used."""
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    return Embedder(opener(api_key=key or None, base_url=settings.openai_base_url))


@asynccontextmanager
async def opened_embedder(settings: Settings) -> AsyncIterator[Embedder]:
    """The same, closed at the end of the block."""
    embeds = embedder(settings)
    try:
        yield embeds
    finally:
        await embeds.close()


def default_model(settings: Settings) -> Model:
    """The model of declarations that name none.

    Raises:
        ConfigurationError: nothing is configured and no local model is installed.
    """
    return models.default_model(configured=settings.embed_model, openai_available=settings.openai_available)
