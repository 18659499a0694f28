"""Values inside events: where they are, and the text by which they are compared."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

MISSING = object()
# Keys and compared values are indexed by Postgres, which takes up to 2,700 bytes.
LONGEST = 512

Event = Mapping[str, Any]
Path = tuple[str | int, ...]


def seek(value: Any, path: Iterable[str | int], missing: Any = None) -> Any:
    """What is at a path of names in objects and places in lists, or `missing`."""
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(key, MISSING)
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            value = value[key]
        else:
            return missing
    return missing if value is MISSING else value


def is_there(value: Any, path: Iterable[str | int]) -> bool:
    """Whether there is anything at a path, be it null."""
    return seek(value, path, MISSING) is not MISSING


def at(path: str, event: Event) -> Any | None:
    """The value at a path such as `data.user_id`, or `data.items.0.sku` through a list; None where there is none."""
    value: Any = event
    for name in path.split("."):
        value = seek(value, (int(name) if isinstance(value, list) and name.isdecimal() else name,))
    return value


def parts_of(event: Event, paths: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """What an event has at these paths, of which none continues another, and nothing else."""
    parts: dict[str, Any] = {}
    for path in paths:
        if not path:
            return dict(event)
        if is_there(event, path):
            *way, last = path
            place = parts
            for name in way:
                place = place.setdefault(name, {})
            place[last] = seek(event, path)
    return parts


def covering(paths: Iterable[Path]) -> tuple[tuple[str, ...], ...]:
    """The fewest paths through objects, none into a list, under which all of these lie."""
    kept: list[tuple[str, ...]] = []
    for path in sorted({_outside_lists(path) for path in paths}, key=lambda path: (len(path), path)):
        if not any(path[: len(other)] == other for other in kept):
            kept.append(path)
    return tuple(kept)


def _outside_lists(path: Path) -> tuple[str, ...]:
    names: list[str] = []
    for key in path:
        if isinstance(key, int):
            break
        names.append(key)
    return tuple(names)


def canonical(value: Any) -> str:
    """The text by which values are compared: compact JSON in ASCII with sorted names.

    Equal numbers have equal texts, 1 and 1.0 alike; a string keeps its quotes, so that "true" and true, "1" and 1
    differ. A text of more than 512 characters is replaced by its digest; a value nested hundreds deep counts as null.
    """
    try:
        return shortened(json.dumps(_even(value), separators=(",", ":"), sort_keys=True))
    except RecursionError:
        return "null"


def shortened(text: str) -> str:
    """The text, or its digest when it is too long for an index."""
    return text if len(text) <= LONGEST else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _even(value: Any) -> Any:
    """With whole numbers written as such."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_even(item) for item in value]
    if isinstance(value, dict):
        return {name: _even(item) for name, item in value.items()}
    return value


def are_same(one: Any, other: Any) -> bool:
    """Whether two values have the same canonical text, one of them being a string, a number or a boolean."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def to_json(value: Any) -> Any:
    """The JSON value of what CEL computed; None for what has none."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case list():
            return [to_json(item) for item in value]
        case dict():
            return {str(name): to_json(item) for name, item in value.items()}
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"
        case bytes():
            return base64.b64encode(value).decode()
    return None
