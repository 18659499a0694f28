"""A watched database by its name: where it is, and what its slot is called."""

from __future__ import annotations

from dataclasses import dataclass, field

from cdc.config import Settings

DEFAULT = "default"
"""Name of the source that DATABASE_URL is."""


@dataclass(frozen=True, slots=True)
class Named:
    """One source as it is configured; the URL is not shown, it carries a password."""

    name: str
    url: str = field(repr=False)
    slot: str

    @classmethod
    def of(cls, settings: Settings, name: str, url: str) -> Named:
        """A source; slots are shared by all databases of a server, so each source has one that is named like it."""
        return cls(name, url, settings.slot if name == DEFAULT else f"{settings.slot}_{name}")
