"""Classes by their names: how one is written down, and found again in any process that has loaded its module."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import BaseModel


def name_of(cls: type) -> str:
    """Module and name, such as `shop.models:Order`."""
    return f"{cls.__module__}:{cls.__qualname__}"


def loaded(name: str) -> type[BaseModel] | None:
    """The class; None for one that is made inside a function, or is not there (any more). Imports nothing."""
    module, _, path = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None
