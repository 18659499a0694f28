"""How the service is, in figures: what /readyz and /v1/status answer from."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from cdc import lsn
from cdc.lsn import Lsn

_MOST_LOOKS = 3600
"""Looks at the WAL that are remembered: an hour of them."""


@dataclass(slots=True)
class Status:
    """How one source is; kept up to date by the service, read by the web.

    `attached`: what needs no slot may go on, because the checkpoint is this database's (or does not matter here);
    `problem`: why it is not watched.
    """

    source: str
    slot: str
    publication: str
    listening: bool = False
    attached: bool = False
    received: Lsn = 0
    confirmed: Lsn = 0
    unpublished: dict[str, str] = field(default_factory=dict)
    problem: str | None = None
    _ahead: deque[tuple[float, Lsn]] = field(default_factory=lambda: deque(maxlen=_MOST_LOOKS))

    def look(self, received: Lsn, confirmed: Lsn, now: float, *, idle: bool = False) -> None:
        """So far WAL was received and accepted at this moment of `time.monotonic()`; `idle`: what is between holds no
        change for us, and is passed some time later.
        """
        if idle:
            self._ahead.clear()
        elif received > self.received or not self._ahead:
            self._ahead.append((now, received))
        self.received, self.confirmed = received, confirmed
        while self._ahead and self._ahead[0][1] <= confirmed:
            self._ahead.popleft()

    @property
    def lag_bytes(self) -> int:
        """WAL that was received and is not accepted yet."""
        return max(0, self.received - self.confirmed)

    def lag_seconds(self, now: float) -> float:
        """How long the oldest WAL that was received and is not accepted has waited, at this moment."""
        return max(0.0, now - self._ahead[0][0]) if self._ahead else 0.0

    @property
    def tried(self) -> bool:
        """Whether it is known if the source can be watched."""
        return self.listening or self.attached or self.problem is not None

    def as_json(self) -> dict[str, object]:
        """For people and scripts; `lag_bytes` is WAL received and not confirmed."""
        return {
            "slot": self.slot,
            "listening": self.listening,
            "problem": self.problem,
            "received_lsn": lsn.render(self.received),
            "confirmed_lsn": lsn.render(self.confirmed),
            "lag_bytes": self.lag_bytes,
            "unpublished": self.unpublished,
        }


@dataclass(slots=True)
class Statuses:
    """How the service is with all its sources. `home` is that of DATABASE_URL, without which it does nothing;
    `working`: the worker processes are up.
    """

    home: Status | None
    others: dict[str, Status] = field(default_factory=dict)
    working: bool = True

    @property
    def every(self) -> list[Status]:
        """How all sources are, that of DATABASE_URL first."""
        return [self.home, *self.others.values()] if self.home else [*self.others.values()]

    @property
    def listening(self) -> bool:
        """Whether it listens to the first source."""
        return self._first is not None and self._first.listening

    @property
    def ready(self) -> bool:
        """Whether this service does its part: it listens, or stands by and works, or only works. Of the other sources
        each was tried; one that cannot be watched delays nothing.
        """
        home = self.home
        does_its_part = self.working if home is None else home.listening or (home.attached and self.working)
        return does_its_part and all(status.tried for status in self.others.values())

    def as_json(self) -> dict[str, object]:
        """The first source, which most services have only, and all `sources`."""
        first = self._first or Status("", "", "")
        return {
            "source": first.source,
            "publication": first.publication,
            "ready": self.ready,
            **first.as_json(),
            "sources": [{"name": status.source, **status.as_json()} for status in self.every],
        }

    @property
    def _first(self) -> Status | None:
        return self.home or next(iter(self.others.values()), None)
