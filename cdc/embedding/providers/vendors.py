"""The remote providers: where each is, how it is asked, and which settings open its door.

All are asked through the openai package. Voyage and Google's compatible endpoint speak OpenAI's form; Cohere's has no
room for a number of dimensions, so that its own form is used there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import openai

from cdc.ai.access import Access
from cdc.embedding.models import Model
from cdc.embedding.providers.answers import Read, cohere_form, openai_form
from cdc.errors import ConfigurationError

TIMEOUT = 60.0
"""Seconds to wait for a connection, and then for each further piece of the answer."""

_AZURE_VERSION = "2024-10-21"

Body = Callable[[Model, Sequence[str], bool], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Vendor:
    """One provider. `key` and `address` are the names of its settings, for those who have to mend them.

    `body` makes a request for texts, and says whether they are words to search with; `read` takes an answer apart.
    """

    key: str
    address: str
    body: Body
    read: Callable[[bytes], Read] = openai_form
    path: str = "/embeddings"
    url: str | None = None
    tells_queries: bool = False
    needs_both: bool = False

    def client(self, model: Model, access: Access) -> openai.AsyncOpenAI:
        """Asks without trying again: that is for who knows what else is waiting.

        Raises:
            ConfigurationError: there is no key and no address.
        """
        if not (access.key and access.base_url if self.needs_both else access.key or access.base_url):
            word = "and" if self.needs_both else "or"
            raise ConfigurationError(f"{model.name} needs a key.", hint=f"Set {self.key} {word} {self.address}.")
        # A server of the user's own may want no key; the client insists on one.
        key = access.key or "none"
        if self.needs_both:
            return openai.AsyncAzureOpenAI(
                api_key=key,
                azure_endpoint=access.base_url or "",
                api_version=access.version or _AZURE_VERSION,
                max_retries=0,
                timeout=TIMEOUT,
            )
        return openai.AsyncOpenAI(api_key=key, base_url=access.base_url or self.url, max_retries=0, timeout=TIMEOUT)


def _openai(model: Model, texts: Sequence[str], query: bool) -> dict[str, Any]:
    # base64 with a decoder of our own: 0.03 ms of CPU a row, against 3.5 for lists of numbers.
    asked: dict[str, Any] = {"model": model.id, "input": texts, "encoding_format": "base64"}
    return asked | ({"dimensions": model.requested} if model.requested else {})


def _voyage(model: Model, texts: Sequence[str], query: bool) -> dict[str, Any]:
    asked = {
        "model": model.id,
        "input": texts,
        "input_type": "query" if query else "document",
        "truncation": False,
        "encoding_format": "base64",
    }
    return asked | ({"output_dimension": model.requested} if model.requested else {})


def _cohere(model: Model, texts: Sequence[str], query: bool) -> dict[str, Any]:
    asked = {
        "model": model.id,
        "texts": texts,
        "input_type": "search_query" if query else "search_document",
        "truncate": "NONE",
        "embedding_types": ["base64"],
    }
    return asked | ({"output_dimension": model.requested} if model.requested else {})


VENDORS = {
    "openai": Vendor("OPENAI_API_KEY", "OPENAI_BASE_URL", _openai),
    "azure": Vendor("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", _openai, needs_both=True),
    "gemini": Vendor(
        "GEMINI_API_KEY",
        "GEMINI_BASE_URL",
        _openai,
        path="/v1beta/openai/embeddings",
        url="https://generativelanguage.googleapis.com",
    ),
    "voyage": Vendor(
        "VOYAGE_API_KEY", "VOYAGE_BASE_URL", _voyage, url="https://api.voyageai.com/v1", tells_queries=True
    ),
    "cohere": Vendor(
        "COHERE_API_KEY",
        "COHERE_BASE_URL",
        _cohere,
        cohere_form,
        path="/v2/embed",
        url="https://api.cohere.com",
        tells_queries=True,
    ),
}
