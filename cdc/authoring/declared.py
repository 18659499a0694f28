"""What a function declares to return, and a JSON value as that again."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pydantic import PydanticUserError, TypeAdapter


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
