"""How the service is, in figures: what /readyz and /v1/status answer from."""

from __future__ import annotations

from dataclasses import dataclass, field

from cdc import lsn
from cdc.lsn import Lsn


@dataclass(slots=True)
class Status:
    """Kept up to date by the service; read by the web."""

    source: str
    slot: str
    publication: str
    listening: bool = False
    received: Lsn = 0
    confirmed: Lsn = 0
    unpublished: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """For people and scripts; `lag_bytes` is WAL received and not confirmed."""
        return {
            "source": self.source,
            "slot": self.slot,
            "publication": self.publication,
            "listening": self.listening,
            "received_lsn": lsn.render(self.received),
            "confirmed_lsn": lsn.render(self.confirmed),
            "lag_bytes": max(0, self.received - self.confirmed),
            "unpublished": self.unpublished,
        }
