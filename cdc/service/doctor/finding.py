"""What a check found out."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warning", "failed"]


class Finding(NamedTuple):
    """How something is, what is to be said of it, and what to do next."""

    state: State
    says: str
    next: str = ""


def ok(says: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", says)


def warning(says: str, next: str) -> Finding:
    """It works, and may not for ever, or is less than it could be."""
    return Finding("warning", says, next)


def failed(says: str, next: str) -> Finding:
    """The service does not run with this, or loses changes."""
    return Finding("failed", says, next)


def size(number: float) -> str:
    """Bytes, for people."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TB"


def duration(seconds: float) -> str:
    """A length of time, for people."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
