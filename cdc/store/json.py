r"""JSON as it is stored: fast for the common case, right for the odd one.

orjson refuses what the `json` type of Postgres allows (a lone surrogate `\ud800`, `1e400`); the standard library
takes it. One odd value must not make a batch of good ones unreadable.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from psycopg.types.json import set_json_loads


def loads(document: str | bytes) -> Any:
    """Read JSON that Postgres accepted."""
    try:
        return orjson.loads(document)
    except orjson.JSONDecodeError:
        return json.loads(document)


def register() -> None:
    """Make psycopg read json columns with `loads`."""
    set_json_loads(loads)
