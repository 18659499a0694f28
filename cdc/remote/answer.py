"""What a call of an app came to. Pure: `cdc.remote.reading` makes it of HTTP, `cdc.remote.connect` of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Op:
    """A step that the SDK tells of (protocol section 4.4): one that ended, one to be taken, one to wait for.

    `id` is the SDK's hash of the step's id, `key` what we call the step: the author's id, numbered when repeated, so
    that sha1(key) == id; `#<id>` where the SDK did not say what it hashed. `data` is JSON as Python values.

    Two are of our own: `RunError` and `RunFailed` where JavaScript tells, after other steps, that the function itself
    threw. `Step` is read as `StepRun`.
    """

    op: str
    id: str
    key: str
    name: str | None = None
    opts: Mapping[str, Any] | None = None
    data: Any = None
    error: Mapping[str, Any] | None = None
    took: float = 0.0
    """Seconds, as the SDK measured them; 0 where it did not."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned; `output` is JSON as Python values."""

    output: Any


@dataclass(frozen=True, slots=True)
class Planned:
    """Steps (206). `version` is the SDK's request version: from 2 on, steps planned together are joined."""

    ops: Sequence[Op]
    version: int = 1
    no_retry: bool = False
    retry_after: float | None = None
    """Seconds, for a step among them that failed."""


@dataclass(frozen=True, slots=True)
class Threw:
    """The function, or the app around it, failed. `error` has name, message, and perhaps stack; `raw` is the body."""

    error: Mapping[str, Any]
    raw: Any = None
    no_retry: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Unreached:
    """The app did not get the call, or nothing tells that it did: no attempt of the function's. `reason` is for people
    and names no secret.
    """

    reason: str


Answer = Returned | Planned | Threw | Unreached
