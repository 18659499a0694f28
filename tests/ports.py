"""Ports for what cannot take one of its own choice, or has to come back on the one it had."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

_LEAST, _MOST = 10_000, 32_000
"""Below those that the system gives away by itself: neither a server nor a client that took any port has one of these,
so what is free now stays free.
"""

CLOSED = 1
"""Nobody listens there."""


def free_port() -> int:
    """One that nothing is bound to."""
    while True:
        port = random.randint(_LEAST, _MOST)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
