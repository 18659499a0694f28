"""How a provider is reached."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Access:
    """What opens one provider's door; `version` is that of Azure's API."""

    key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    version: str | None = None
