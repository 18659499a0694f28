"""What opens a provider's door."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a provider. `version` is that of the API, where one has to be named (Azure)."""

    key: str | None = None
    base_url: str | None = None
    version: str | None = None
