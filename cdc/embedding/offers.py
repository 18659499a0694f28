"""What providers of embeddings offer, as their own documentation says: dimensions, and what one request may carry.

A model that is not listed can be used all the same: its dimensions are asked for, and its provider's limits hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

LOCAL = "local/minilm"
"""all-MiniLM-L6-v2 with int8 weights, in this process: no key, some ten texts of 200 words a second and core."""

LOCAL_FAST = "local-fast/wordllama"
"""A static model in this process: a hundred times faster, and a little worse."""

OPENAI = "openai/text-embedding-3-small"


class Limits(NamedTuple):
    """What one request may carry: texts, and tokens of all of them together."""

    inputs: int
    tokens: int


class Offer(NamedTuple):
    """One model: the dimensions of its vectors, those it can be asked for instead, and its tokens a request.

    `tokens` is None where the provider's own limit holds.
    """

    dimensions: int
    choices: Sequence[int] = ()
    tokens: int | None = None


PROVIDERS = {
    "openai": Limits(inputs=2048, tokens=300_000),
    "azure": Limits(inputs=2048, tokens=300_000),
    # Google counts 2,048 tokens a text (gemini-embedding-001), and names no sum.
    "gemini": Limits(inputs=100, tokens=100 * 2048),
    "voyage": Limits(inputs=1000, tokens=120_000),
    # Cohere names no sum but the context of its largest model.
    "cohere": Limits(inputs=96, tokens=128_000),
}

_VOYAGE = (256, 512, 1024, 2048)
_COHERE = (256, 512, 1024, 1536)

MODELS = {
    OPENAI: Offer(1536, range(1, 1537)),
    "openai/text-embedding-3-large": Offer(3072, range(1, 3073)),
    "openai/text-embedding-ada-002": Offer(1536),
    "gemini/gemini-embedding-001": Offer(3072, range(128, 3073)),
    "gemini/gemini-embedding-2": Offer(3072, range(128, 3073)),
    "voyage/voyage-4-large": Offer(1024, _VOYAGE),
    "voyage/voyage-4": Offer(1024, _VOYAGE, tokens=320_000),
    "voyage/voyage-4-lite": Offer(1024, _VOYAGE, tokens=1_000_000),
    "voyage/voyage-3-large": Offer(1024, _VOYAGE),
    "voyage/voyage-3.5": Offer(1024, _VOYAGE, tokens=320_000),
    "voyage/voyage-3.5-lite": Offer(1024, _VOYAGE, tokens=1_000_000),
    "voyage/voyage-code-3": Offer(1024, _VOYAGE),
    "voyage/voyage-finance-2": Offer(1024),
    "voyage/voyage-law-2": Offer(1024),
    "cohere/embed-v4.0": Offer(1536, _COHERE),
    "cohere/embed-english-v3.0": Offer(1024),
    "cohere/embed-multilingual-v3.0": Offer(1024),
    "cohere/embed-english-light-v3.0": Offer(384),
    "cohere/embed-multilingual-light-v3.0": Offer(384),
    LOCAL: Offer(384),
    LOCAL_FAST: Offer(256),
}


def limits(provider: str, id_: str) -> Limits:
    """What one request for a remote model may carry."""
    of_provider, offer = PROVIDERS[provider], MODELS.get(f"{provider}/{id_}")
    return Limits(of_provider.inputs, (offer and offer.tokens) or of_provider.tokens)
