"""An event: an immutable fact, as handlers see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `ts` is milliseconds since the epoch; for a row change, of its commit."""

    id: str
    name: str
    data: dict[str, Any]
    ts: int
