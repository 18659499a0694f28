"""What one service does of the whole."""

from __future__ import annotations

from typing import Literal

Role = Literal["listener", "worker", "web"]

ALL: frozenset[Role] = frozenset({"listener", "worker", "web"})
