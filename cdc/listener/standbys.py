"""What may be confirmed where the state lives in the watched database and standbys keep a copy of the slot.

A standby may have the slot's confirmed position before it has the commit that stored those events: promoted then, it
would have neither. A slot for failover is sent only what the standbys have (synchronized_standby_slots), so once the
stream has come past that commit, they have it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from cdc.lsn import Lsn


class Standbys:
    """Holds confirmations back; without `written`, which tells where the WAL of the state ends, it holds none."""

    def __init__(self, written: Callable[[], Awaitable[Lsn]] | None) -> None:
        self._written = written
        self._held: deque[tuple[Lsn, Lsn]] = deque()
        self._safe: Lsn = 0

    async def accepted(self, end_lsn: Lsn) -> None:
        """Everything before `end_lsn` was stored just now."""
        if self._written is not None:
            self._held.append((end_lsn, await self._written()))

    def confirmable(self, end_lsn: Lsn, received: Lsn) -> Lsn:
        """How much of what is stored, up to `end_lsn`, may be confirmed when so much was received."""
        if self._written is None:
            return min(end_lsn, received)
        while self._held and self._held[0][1] <= received:
            self._safe, _ = self._held.popleft()
        return min(self._safe, received)
