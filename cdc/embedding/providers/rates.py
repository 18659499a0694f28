"""What a provider says of its limits with each answer: the headers x-ratelimit-*."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

KINDS = ("requests", "tokens")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


class Rate(NamedTuple):
    """How many requests, or tokens, are left of how many, and in how many seconds all of them are back."""

    kind: str
    limit: float
    remaining: float
    reset: float


def rates(headers: Mapping[str, str]) -> Sequence[Rate]:
    """The limits that an answer speaks of in full; others say nothing that could be acted on."""
    found = []
    for kind in KINDS:
        limit, remaining = (_number(headers.get(f"x-ratelimit-{word}-{kind}")) for word in ("limit", "remaining"))
        reset = _seconds(headers.get(f"x-ratelimit-reset-{kind}"))
        if limit and remaining is not None and reset is not None:
            found.append(Rate(kind, limit, remaining, reset))
    return found


def _number(text: str | None) -> float | None:
    return float(text) if text and text.isascii() and text.isdigit() else None


def _seconds(text: str | None) -> float | None:
    """Of `6m0s`, `20ms`, or plain seconds."""
    if text is None:
        return None
    if (plain := _number(text)) is not None:
        return plain
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
