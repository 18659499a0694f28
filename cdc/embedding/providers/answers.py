"""Reads what providers answer with: vectors, and how many tokens they counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
import pybase64

from cdc.embedding.providers import Vector


class Read(NamedTuple):
    """What an answer said; None where it did not."""

    vectors: Sequence[Vector]
    tokens: int | None
    model: str | None


def openai_form(body: bytes) -> Read:
    """`{"data": [{"index": 0, "embedding": ...}], "model": ..., "usage": {"total_tokens": ...}}`.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: the answer has another form.
    """
    answer = orjson.loads(body)
    # Google leaves out an index that is 0.
    data = sorted(answer["data"], key=lambda item: int(item.get("index", 0)))
    usage = answer.get("usage") or {}
    tokens = _count(usage.get("total_tokens"))
    return Read(_alike([item["embedding"] for item in data]), tokens, _name(answer.get("model")))


def cohere_form(body: bytes) -> Read:
    """`{"embeddings": {"base64": [...]}, "meta": {"billed_units": {"input_tokens": ...}}}`.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: the answer has another form.
    """
    answer = orjson.loads(body)
    embeddings = answer["embeddings"]
    billed = (answer.get("meta") or {}).get("billed_units") or {}
    vectors = embeddings["base64"] if "base64" in embeddings else embeddings["float"]
    return Read(_alike(vectors), _count(billed.get("input_tokens")), None)


def _alike(embeddings: Sequence[str | list[float]]) -> Sequence[Vector]:
    vectors = [_vector(embedding) for embedding in embeddings]
    if any(vector.ndim != 1 or not vector.size or vector.size != vectors[0].size for vector in vectors):
        raise ValueError("an embedding is no list of numbers, or not as long as the others")
    return vectors


def _vector(embedding: str | list[float]) -> Vector:
    # A server that knows no base64 answers with numbers, whatever it was asked for.
    if isinstance(embedding, str):
        return np.frombuffer(pybase64.b64decode(embedding, validate=True), "<f4")
    return np.asarray(embedding, np.float32)


def _count(number: Any) -> int | None:
    # An int, or 12.0 as Cohere writes it; a server that counts nothing says 0.
    return int(number) if isinstance(number, int | float) and number > 0 else None


def _name(model: Any) -> str | None:
    return model if isinstance(model, str) and model else None
