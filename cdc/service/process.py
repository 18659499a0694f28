"""What holds for both kinds of process."""

from __future__ import annotations

import gc

from cdc.store import json

_ALLOCATIONS = 50_000
"""Between looks for garbage: ten thousand events in hand make Python's 700 look in vain, at half the cost of decoding."""


def prepare() -> None:
    """Set the process up, once everything is imported."""
    json.register()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS)
