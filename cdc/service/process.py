"""What holds for both kinds of process."""

from __future__ import annotations

import gc
import resource
from contextlib import suppress

from cdc.store import json

_ALLOCATIONS = 50_000
"""Between looks for garbage. With ten thousand events in hand and Python's 700, looking took longer than the work did:
to translate an event cost 14 us instead of 6.
"""

_CONNECTIONS = 65_536


def prepare() -> None:
    """Set the process up, once everything is imported."""
    json.register()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
    gc.enable()


def allow_connections() -> None:
    """Let the process have as many connections as the system lets it; 1,024 is what most begin with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS if hard == resource.RLIM_INFINITY else min(_CONNECTIONS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # macOS has a limit of its own below
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
