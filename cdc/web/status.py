"""How the service is, in figures: what /readyz and /v1/status answer from."""

from __future__ import annotations

from dataclasses import dataclass, field

from cdc import lsn
from cdc.lsn import Lsn


@dataclass(slots=True)
class Status:
    """Kept up to date by the service; read by the web.

    `attached`: what needs no slot may go on, because the checkpoint is this database's (or does not matter here);
    `working`: the worker processes are up.
    """

    source: str
    slot: str
    publication: str
    listening: bool = False
    attached: bool = False
    working: bool = True
    received: Lsn = 0
    confirmed: Lsn = 0
    unpublished: dict[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether this service does its part: it listens, or stands by and works, or only works."""
        return self.listening or (self.attached and self.working)

    def as_json(self) -> dict[str, object]:
        """For people and scripts; `lag_bytes` is WAL received and not confirmed."""
        return {
            "source": self.source,
            "slot": self.slot,
            "publication": self.publication,
            "ready": self.ready,
            "listening": self.listening,
            "received_lsn": lsn.render(self.received),
            "confirmed_lsn": lsn.render(self.confirmed),
            "lag_bytes": max(0, self.received - self.confirmed),
            "unpublished": self.unpublished,
        }
