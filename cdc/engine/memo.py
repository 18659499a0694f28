"""A step's result as JSON, and back into its declared type.

Every result makes this round trip before the live handler sees it, so a live run and a replayed one see the same.
"""

from __future__ import annotations

import inspect
import json
import traceback
import types
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from pydantic import BaseModel, PydanticUserError, TypeAdapter

from cdc.errors import NonRetriableError, StepError, Thrown
from cdc.store.json import ODD, document
from cdc.store.runs import Memo

LARGEST = 4 * 1024 * 1024
"""Bytes of JSON that one result may have."""

_LONGEST_STACK = 8000


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


def result(step: str, recorded: Memo) -> Any:
    """What is recorded of a step that has ended, as a JSON value.

    Raises:
        StepError: it failed on its last attempt.
    """
    if recorded.error is not None:
        raise StepError(step, recorded.error["name"], recorded.error["message"])
    return recorded.data


def typed(value: Any, fn: Callable[..., Any]) -> Any:
    """A JSON value as the type that `fn` declares to return; as it is when none is declared."""
    adapter = _adapter(fn)
    return value if adapter is None or value is None else adapter.validate_python(value)


@lru_cache(maxsize=4096)
def _adapter(fn: Callable[..., Any]) -> TypeAdapter[Any] | None:
    """How to rebuild what `fn` returns; None when JSON values serve as they are."""
    try:
        declared = typing.get_type_hints(inspect.unwrap(fn)).get("return")
    except (NameError, TypeError):
        return None
    if declared is None or not _needs_rebuilding(declared):
        return None
    try:
        return TypeAdapter(declared)
    except PydanticUserError:
        return None


def _needs_rebuilding(declared: Any) -> bool:
    plain = (dict, list, str, int, float, bool, type(None), Any, object)
    if declared in plain:
        return False
    arguments = typing.get_args(declared)
    origin = typing.get_origin(declared)
    if origin is dict and arguments[0] is not str:
        return True  # keys are texts in JSON
    if origin in (dict, list, typing.Union, types.UnionType):
        return any(_needs_rebuilding(argument) for argument in arguments)
    return True


class StoredError(NamedTuple):
    """An exception as it is stored; `json` has its stack, too."""

    name: str
    message: str
    json: str


def error_of(error: BaseException) -> StoredError:
    """An exception as it is stored: name, message, stack."""
    if isinstance(error, Thrown):
        return StoredError(
            error.name, error.message, document({"name": error.name, "message": error.message, **error.more})
        )
    name, message = type(error).__name__, str(error)
    stack = "".join(traceback.format_exception(error))[-_LONGEST_STACK:]
    return StoredError(name, message, json.dumps({"name": name, "message": message, "stack": stack}))
