"""The models that the settings allow: those that embed, and those that answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import SecretStr

from cdc.ai.infer import Access, Models
from cdc.config import Settings
from cdc.embedding import models
from cdc.embedding.gather import Embedder
from cdc.embedding.models import Model
from cdc.embedding.providers import opener


def embedder(settings: Settings) -> Embedder:
    """Embeds with every provider that is configured; loads none before it is used."""
    return Embedder(opener(api_key=_secret(settings.openai_api_key), base_url=settings.openai_base_url))


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
    return Models(
        {
            "openai": Access(_secret(settings.openai_api_key), settings.openai_base_url),
            "anthropic": Access(_secret(settings.anthropic_api_key), settings.anthropic_base_url),
            "gemini": Access(_secret(settings.gemini_api_key), settings.gemini_base_url),
        }
    )


@asynccontextmanager
async def opened_models(settings: Settings) -> AsyncIterator[Models]:
    """The same, closed at the end of the block."""
    models_ = models_of(settings)
    try:
        yield models_
    finally:
        await models_.close()


def _secret(given: SecretStr | None) -> str | None:
    return (given.get_secret_value() or None) if given else None
