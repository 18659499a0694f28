"""An event: an immutable fact, as handlers see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `ts` is milliseconds since the epoch; for a row change, of its commit.

    To send one, write `Event("app/order.paid", {"id": 7})`: `id` and `ts` are given to it when it is accepted.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    ts: int = 0
