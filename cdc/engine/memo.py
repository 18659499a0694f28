"""A step's result as JSON, and back into its declared type.

Every result makes this round trip before the live handler sees it, so a live run and a replayed one see the same.
"""

from __future__ import annotations

import json
import traceback
from typing import Any, NamedTuple

from cdc.authoring.declared import typed
from cdc.errors import StepError, Thrown
from cdc.store.json import document
from cdc.store.results import LARGEST, MemoError, dump
from cdc.store.runs import Memo

__all__ = ["LARGEST", "MemoError", "StoredError", "dump", "error_of", "result", "typed"]

_LONGEST_STACK = 8000


def result(step: str, recorded: Memo) -> Any:
    """What is recorded of a step that has ended, as a JSON value.

    Raises:
        StepError: it failed on its last attempt.
    """
    if recorded.error is not None:
        raise StepError(step, recorded.error["name"], recorded.error["message"])
    return recorded.data


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
