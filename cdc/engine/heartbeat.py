"""Renews a worker's lease from a thread of its own, so that a blocked event loop does not lose it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from cdc.clock import ServerClock
from cdc.store import workers
from cdc.store.failures import StatementFailed

log = structlog.get_logger(__name__)

BEATS = 3
"""A lease."""

_SHORTEST = 0.5
"""Seconds that even the last renewal has for its answer."""


class Heartbeat:
    """Beats `BEATS` times a lease. `on_lost` is called once, in the thread, when the lease is gone or ran out.

    Each beat sets the `clock`.
    """

    def __init__(self, url: str, worker_id: int, lease: float, clock: ServerClock, on_lost: Callable[[], None]) -> None:
        self._url = url
        self._worker_id = worker_id
        self._lease = lease
        self._clock = clock
        self._on_lost = on_lost
        self._good_until = time.monotonic() + lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_forever, name="cdc heartbeat", daemon=True)

    def is_good(self) -> bool:
        """Whether the lease cannot have run out yet. A process that stood still knows it by this before it beats."""
        return time.monotonic() < self._good_until

    def start(self) -> None:
        """Start beating."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating; the lease is left as it is. A beat under way is not waited for: it would block the loop."""
        self._stop.set()

    def _beat_forever(self) -> None:
        conn: workers.HeartbeatConnection | None = None
        while not self._stop.wait(self._lease / BEATS):
            began = time.monotonic()
            try:
                conn = conn or workers.heartbeat_connection(self._url)
                left = max(_SHORTEST, self._good_until - time.monotonic())
                renewed = workers.renew(conn, self._worker_id, self._lease, within=left)
            except StatementFailed as error:
                log.warning("heartbeat missed", reason=type(error).__name__)
                _close(conn)
                conn = None
                renewed = began if self.is_good() else None
            else:
                self._good_until = began if renewed is None else began + self._lease
                if renewed is not None:
                    self._clock.set(renewed, time.monotonic())
            if renewed is None:
                self._on_lost()
                break
        _close(conn)


def _close(conn: workers.HeartbeatConnection | None) -> None:
    if conn is not None:
        conn.close()
