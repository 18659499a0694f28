"""Log sequence numbers and positions (Postgres docs, section 8.20: pg_lsn)."""

from __future__ import annotations

from typing import NamedTuple

Lsn = int
"""A byte offset into the WAL, 64 bits."""


def parse(text: str) -> Lsn:
    """Read Postgres's own form, `16/B374D848`.

    Raises:
        ValueError: the text is not two hexadecimal halves of up to 32 bits.
    """
    high, slash, low = text.partition("/")
    if not slash or not 0 < len(high) <= 8 or not 0 < len(low) <= 8:
        raise ValueError(f"not an LSN: {text!r}")
    return (int(high, 16) << 32) | int(low, 16)


def render(lsn: Lsn) -> str:
    """Write Postgres's own form, `16/B374D848`."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


class Position(NamedTuple):
    """Where a change stands: its transaction's commit LSN and its number within it, from 0.

    Positions are totally ordered: transactions are decoded in commit order. The start LSN of a frame is not
    ordered and cannot serve (rows of concurrent transactions go backwards).
    """

    commit_lsn: Lsn
    ordinal: int

    def __str__(self) -> str:
        return f"{render(self.commit_lsn)}+{self.ordinal}"
