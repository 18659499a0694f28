"""The models that the settings allow: those that embed, and those that answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from pydantic import SecretStr

from cdc.ai.access import Access
from cdc.ai.call import Call
from cdc.ai.infer import Models
from cdc.config import Settings
from cdc.embedding import models
from cdc.embedding.gather import Embedder
from cdc.embedding.models import Model
from cdc.embedding.providers import opener


def access(settings: Settings) -> Mapping[str, Access]:
    """The keys and addresses of all providers, by provider."""
    return {
        "openai": Access(_plain(settings.openai_api_key), settings.openai_base_url),
        "anthropic": Access(_plain(settings.anthropic_api_key), settings.anthropic_base_url),
        "azure": Access(
            _plain(settings.azure_openai_api_key), settings.azure_openai_endpoint, settings.openai_api_version
        ),
        "gemini": Access(_plain(settings.gemini_api_key), settings.gemini_base_url),
        "voyage": Access(_plain(settings.voyage_api_key), settings.voyage_base_url),
        "cohere": Access(_plain(settings.cohere_api_key), settings.cohere_base_url),
    }


def embedder(settings: Settings, *, on_call: Callable[[Call], None] = lambda call: None) -> Embedder:
    """Embeds with every provider that is configured; loads none before it is used. `on_call` hears of each request."""
    return Embedder(opener(access(settings)), on_call=on_call)


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


def models_of(settings: Settings) -> Models:
    """Asks every provider that is configured; connects to none before it is used."""
    return Models(access(settings))


def _plain(secret: SecretStr | None) -> str | None:
    return (secret.get_secret_value() or None) if secret else None
