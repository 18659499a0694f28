"""What a search finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Filter = Mapping[str, Any | Sequence[Any]]
"""Columns of the source and the values that a row must have there: of a list any, None that there is none."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One row that a search found, or one chunk of its text. All values are JSON.

    `key` and `columns` are values of the row, by name; `ordinal` and `chunk` the piece of its text that was found,
    where the target keeps chunks. `distance` is what the target's metric says, the smaller the nearer; `similarity` the
    cosine or the inner product, None with other metrics. With `hybrid`, `score` (the larger the better) joins the two
    ranks, each from 1: `vector_rank` among the nearest, `text_rank` among those that have the words; None: not there.
    """

    key: dict[str, Any]
    columns: dict[str, Any] = field(default_factory=dict)
    distance: float | None = None
    similarity: float | None = None
    ordinal: int | None = None
    chunk: str | None = None
    score: float | None = None
    vector_rank: int | None = None
    text_rank: int | None = None
