"""What a step or a handler returned, as the JSON that is kept of it."""

from __future__ import annotations

import json
from typing import Any

import orjson
from pydantic import BaseModel

from cdc.errors import NonRetriableError
from cdc.store.json import ODD

LARGEST = 4 * 1024 * 1024
"""Bytes of JSON that one result may have."""


class MemoError(NonRetriableError):
    """A result cannot be kept: it is no JSON, or too large. Trying again would not change that."""


def dump(what: str, value: Any) -> str:
    """`value` as JSON; `what` names it in errors.

    Raises:
        MemoError: it is not JSON, or larger than `LARGEST`.
    """
    try:
        document = orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        document = _odd(what, value)
    if len(document) > LARGEST:
        raise MemoError(
            f"{what} is {len(document):,} bytes of JSON; the limit is {LARGEST:,}. "
            "Store the value elsewhere and return where it is."
        )
    return document.decode()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _odd(what: str, value: Any) -> bytes:
    """What orjson refuses and JSON allows: integers beyond 64 bits, lone surrogates."""
    try:
        return f"{ODD}{json.dumps(value, allow_nan=False, default=_plain)}".encode()
    except (TypeError, ValueError) as error:
        raise MemoError(
            f"{what} cannot be stored as JSON: {error}. Return plain values, a dataclass or a pydantic model."
        ) from None
