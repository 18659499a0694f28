"""What senders may give to an event besides its name and data, checked: whoever sends it, and by whichever door."""

from __future__ import annotations

import re

from cdc.store.events import Extra
from cdc.store.json import document

EARLIEST, LATEST = 315_532_800_000, 4_102_444_800_000
"""Milliseconds since 1970: the beginning of 1980, and of 2100."""

LONGEST_ID = 255

_TRACEPARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<ids>(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
    r"(?P<more>-.*)?",
    re.DOTALL,
)
"""W3C Trace Context, section 3.2: later versions may have more behind the flags."""

_FLAGS = 0b11
"""Sampled, random: what a later version may mean by the others is not known."""


def given_by_sender(id: object, ts: object, user: object, v: object) -> tuple[Extra | None, int | None]:
    """What only some events have, and the event's own time (microseconds since 1970) if it was given.

    Raises:
        ValueError: one of them cannot be used; says which.
    """
    given_id, version = _text("id", id), _text("v", v)
    if ts is not None and (isinstance(ts, bool) or not isinstance(ts, int | float) or not EARLIEST <= ts < LATEST):
        raise ValueError("ts is not a number of milliseconds between 1980 and 2100")
    if user is not None and not isinstance(user, dict):
        raise ValueError("user is not an object")
    if not (given_id or ts or user or version):
        return None, None
    extra = Extra(given_id, document(user).encode() if user else None, version, scheduled=ts is not None)
    return extra, None if ts is None else int(ts) * 1000


def traceparent_of(value: object) -> str | None:
    """The trace that something belongs to, as version 00 writes it; None when it names none (W3C Trace Context)."""
    found = _TRACEPARENT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    if found["version"] == "00":
        return None if found["more"] else found.string
    return f"00-{found['ids']}-{int(found['flags'], 16) & _FLAGS:02x}"


def _text(name: str, value: object) -> str | None:
    """A text that Postgres can store; an empty one is none."""
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > LONGEST_ID:
        raise ValueError(f"{name} is not a text of at most {LONGEST_ID} characters")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{name} has characters that cannot be stored")
    return value
