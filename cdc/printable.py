"""Text as it may stand in a line of a log: it begins no other line, moves no cursor, turns nothing around."""

from __future__ import annotations

import json
from math import isfinite

LONGEST = 8000
"""Characters of one value; what is longer is cut."""


def escaped(text: str) -> str:
    r"""The text with everything that is not plain to see as `\n`, `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def cut(text: str) -> str:
    """The text, or its beginning and how much more there was."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}... ({len(text) - LONGEST} more characters)"


def cut_in_front(text: str) -> str:
    """The text, or its end: what a traceback comes to is there."""
    return text if len(text) <= LONGEST else f"... {text[-LONGEST:]}"


def block(text: str) -> str:
    """Several lines, such as a traceback, each set in: none of them passes for a line of the log."""
    return "\n".join(f"    {escaped(line)}" for line in text.split("\n"))


def bounded(value: object) -> object:
    """A value that can be written as JSON and is not huge; in place of another one, its text."""
    if isinstance(value, str):
        return cut(value)
    if value is None or isinstance(value, bool) or (isinstance(value, float) and isfinite(value)):
        return value
    try:
        document = json.dumps(value, default=shown, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return cut(shown(value))
    return value if len(document) <= LONGEST else cut(document)


def shown(value: object) -> str:
    """What a value calls itself; one that cannot say has the name of its class."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever it is, a line of a log must not raise
        return f"<{type(value).__name__}>"
