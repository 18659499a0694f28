"""Event ids that a repeat reproduces.

A row change's id is its position: source incarnation, commit LSN and ordinal, packed without loss into a UUID of
version 8 (RFC 9562, section 5.8). The same change always has the same id, and ids of one source sort like its WAL.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

import uuid_utils

from cdc.lsn import Lsn, Position

_REQUESTS = uuid_utils.UUID("6d1f7a4e-3e0b-5f9e-9d5c-0f6c3f1f2b9a")
"""The namespace of ids made from the seeds of clients."""

MAX_SOURCE = (1 << 26) - 1
MAX_ORDINAL = (1 << 32) - 1


def of_transaction(source_id: int, lsn: Lsn) -> Callable[[int], bytes]:
    """The ids of a transaction's changes by their ordinal; what they have in common is packed once.

    16 bytes: 48 bits LSN, version, 12 bits LSN, variant, 4 bits LSN, 32 ordinal, 26 source.
    """
    high = (((lsn >> 16) << 16) | 0x8000 | ((lsn >> 4) & 0xFFF)).to_bytes(8, "big")
    low = (0b10 << 62) | ((lsn & 0xF) << 58) | source_id
    return lambda ordinal: high + (low | ordinal << 26).to_bytes(8, "big")


def of_position(source_id: int, position: Position) -> bytes:
    """The id of the change at this position."""
    return of_transaction(source_id, position.commit_lsn)(position.ordinal)


def of_step(run_id: str, step_id: str, index: int) -> bytes:
    """The 16 bytes of the id of an event that a step sends: the same whenever the step is taken again.

    A UUID of version 5 (RFC 9562, section 5.5): a hash of run, step and the event's place within it.
    """
    return uuid5(UUID(run_id), f"{index}:{step_id}").bytes


def of_tick(function_id: str, schedule: str, tick: datetime) -> bytes:
    """The 16 bytes of the id of the event that a function's schedule makes at this moment, whoever makes it."""
    return uuid5(NAMESPACE_URL, f"cdc:tick/{tick.timestamp():.0f}/{schedule}/{function_id}").bytes


def of_request(seed: str, index: int) -> bytes:
    """The 16 bytes of the id of an event that a client sends: the same whenever it sends with the same seed again."""
    return uuid_utils.uuid5(_REQUESTS, f"{index}:{seed}").bytes


def to_position(id: bytes) -> tuple[int, Position]:
    """Source incarnation and position of an id made by `of_position`.

    Raises:
        ValueError: it is not such an id.
    """
    number = int.from_bytes(id, "big")
    high, low = number >> 64, number & ((1 << 64) - 1)
    if len(id) != 16 or (high >> 12) & 0xF != 8 or low >> 62 != 0b10:
        raise ValueError("not the id of a row change")
    lsn = ((high >> 16) << 16) | ((high & 0xFFF) << 4) | ((low >> 58) & 0xF)
    return low & MAX_SOURCE, Position(lsn, (low >> 26) & MAX_ORDINAL)
