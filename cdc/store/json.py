r"""JSON as it is stored: fast for the common case, right for the odd one.

orjson refuses what the `json` type of Postgres allows (a lone surrogate `\ud800`, `1e400`); the standard library
takes it. One odd value must not make a batch of good ones unreadable.

orjson reads an integer beyond 64 bits as a float, without a word. To look for one in every document would cost
several times as much as reading it, so whoever writes one says so: the document begins with `ODD`.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from psycopg.types.json import set_json_loads

ODD = " "
"""At the start of a document: only the standard library reads it as it was written."""


def loads(document: str | bytes) -> Any:
    """Read JSON that Postgres accepted."""
    if document[:1] not in (ODD, ODD.encode()):
        try:
            return orjson.loads(document)
        except orjson.JSONDecodeError:
            pass
    return json.loads(document)


def document(value: Any) -> str:
    """Plain values as JSON, the slow way where orjson refuses.

    Raises:
        TypeError, ValueError: it is not JSON.
    """
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return f"{ODD}{json.dumps(value, allow_nan=False)}"


def encoded(value: Any) -> bytes:
    """The same, as bytes."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return document(value).encode()


def register() -> None:
    """Make psycopg read json columns with `loads`."""
    set_json_loads(loads)
