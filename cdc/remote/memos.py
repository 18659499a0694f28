"""What is recorded of steps and events, as SDKs read it (protocol sections 4.1 and 4.2). Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from cdc.authoring.event import Event
from cdc.authoring.triggers import SIGNAL
from cdc.store.deferred import KINDS
from cdc.store.runs import Memo

_HASHED = re.compile("#[0-9a-f]{40}")
_UNKNOWN = "there is no function "
_TIMED_OUT = "Timed out waiting for invoked function to complete"
_CARRIED = ("stack", "cause")


def hashed(key: str) -> str:
    """The SDK's name of a step: the hash of its id. `#` and the hash is a step whose id the SDK did not tell."""
    return key[1:] if _HASHED.fullmatch(key) else hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()


def steps_of(recorded: Mapping[str, Memo]) -> list[tuple[str, Memo]]:
    """What is recorded of a run without the runs that it deferred, which are no steps to an SDK."""
    return [(key, each) for key, each in recorded.items() if each.kind not in KINDS]


def memo(kind: str, data: Any, error: Mapping[str, Any] | None) -> Any:
    """What ended a step of this kind (cdc_state.steps), as JSON values.

    Beside `data` or `error` such an object has nothing: SDKs take any other for a value as it stands. So do they take
    the event that a step waited for, and null: nothing came in time, or a sleep is over.
    """
    if error is not None:
        return {"error": told_error(kind, error)}
    if kind == "sleep":
        return None
    if kind == "wait":
        return data if data is None else _awaited(data)
    return {"data": data}


def told_event(event: Event | Mapping[str, Any]) -> dict[str, Any]:
    """An event as SDKs see it; `v` only where its sender gave it one."""
    seen = event.as_dict() if isinstance(event, Event) else event
    told = {name: seen[name] for name in ("id", "name", "data", "ts")}
    told["user"] = seen.get("user") or {}
    if seen.get("v"):
        told["v"] = seen["v"]
    return told


def told_error(kind: str, error: Mapping[str, Any]) -> dict[str, Any]:
    """An error as SDKs see it: name and message are texts, and what only we call so has their name."""
    name, message = _text(error.get("name")) or "Error", _text(error.get("message"))
    if kind == "invoke" and name == "InvokeTimeout":
        return {"name": "InngestInvokeTimeoutError", "message": _TIMED_OUT, "error": _TIMED_OUT}
    if kind == "invoke" and name == "FunctionUnknown" and message.startswith(_UNKNOWN):
        return {"name": "Error", "message": f"could not find function with ID: {message[len(_UNKNOWN) + 1 : -1]}"}
    return {"name": name, "message": message, **{key: error[key] for key in _CARRIED if error.get(key) is not None}}


def _awaited(event: Mapping[str, Any]) -> dict[str, Any]:
    name = event["name"]
    if name.startswith(SIGNAL):
        return {"data": {"signal": name[len(SIGNAL) :], "data": event["data"]}}
    return told_event(event)


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
