"""The opcodes in an answer: JSON made into `Op`s, and the times that they name. Pure."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from cdc.clock import moment, seconds
from cdc.remote.answer import Op
from cdc.store.json import encoded

MOST = 1000
"""Opcodes that one answer may have."""

LONGEST_TEXT = 64 * 1024
"""Characters that are kept of an error's message or stack, and of what caused it."""

FURTHEST = 100 * 365 * 86400.0
"""Seconds from now that anything is put off by, at most."""

_RUN_ITSELF = hashlib.sha1(b"complete", usedforsecurity=False).hexdigest()
"""Under this id JavaScript tells of the function's own end among steps."""

_LONGEST_ID = 255
_GUESSES = 16
_NUMERAL = re.compile(r"\d{1,15}")
_EXTENDED_YEAR = re.compile(r"\+\d{6}-")
_ERRORS = {"StepError": "RunError", "StepFailed": "RunFailed"}
_TIMED = {"Sleep", "WaitForEvent", "WaitForSignal", "InvokeFunction"}


class NoOpcode(Exception):
    """An answer has something else where an opcode should be; says what."""


def opcodes(value: Any, now: float) -> tuple[Op, ...]:
    """All of an answer's opcodes, which are a list or a single one.

    Raises:
        NoOpcode: something in it is none.
    """
    found = value if isinstance(value, list) else [value]
    if len(found) > MOST:
        raise NoOpcode(f"It has {len(found):,} opcodes; the limit is {MOST:,}.")
    return tuple(opcode(each, now) for each in found if each is not None)


def opcode(value: Any, now: float) -> Op:
    """One opcode; what is not known of it is left out.

    Raises:
        NoOpcode: it is none, or names a time that cannot be read.
    """
    if not isinstance(value, Mapping):
        raise NoOpcode("An opcode is no object.")
    op, hashed, opts = value.get("op"), value.get("id") or "", value.get("opts")
    if not isinstance(op, str) or not isinstance(hashed, str) or len(hashed) > _LONGEST_ID:
        raise NoOpcode("An opcode has no op and id that are texts.")
    if not isinstance(opts, Mapping | None):
        raise NoOpcode(f"The opts of a {op[:32]} are no object.")
    error = value.get("error")
    made = Op(
        op=_named(op, hashed, value),
        id=hashed,
        key=_key(hashed, value),
        name=_text(value.get("name")),
        opts=opts,
        data=value.get("data"),
        error=None if error is None else error_of(error),
        took=_took(value.get("timing")),
    )
    if op in _TIMED:
        sleep_until(made, now) if op == "Sleep" else timeout_of(made, now)
    return made


def error_of(value: Any) -> dict[str, Any]:
    """What an SDK tells of an error, in the form in which errors are kept: name, message, perhaps stack and cause."""
    if not isinstance(value, Mapping):
        said = value if isinstance(value, str) else encoded(value).decode()
        return {"name": "Error", "message": said[:LONGEST_TEXT]}
    name = _text(value.get("name")) or "Error"
    message = _text(value.get("message")) or _text(value.get("error")) or "Unknown error"
    kept: dict[str, Any] = {"name": name[:_LONGEST_ID], "message": message[:LONGEST_TEXT]}
    if stack := _text(value.get("stack")):
        kept["stack"] = stack[:LONGEST_TEXT]
    cause = value.get("cause")
    if cause is not None and len(encoded(cause)) <= LONGEST_TEXT:
        kept["cause"] = cause
    return kept


def sleep_until(op: Op, now: float) -> float:
    """Seconds from `now` until a Sleep ends.

    Raises:
        NoOpcode: its time cannot be read.
    """
    given = (op.opts or {}).get("duration")
    return _from_now(op, op.name if given is None else given, now) or 0.0


def timeout_of(op: Op, now: float) -> float | None:
    """Seconds from `now` after which nothing is waited for any more; None where the step does not say.

    Raises:
        NoOpcode: its time cannot be read.
    """
    return _from_now(op, (op.opts or {}).get("timeout"), now)


def _from_now(op: Op, given: Any, now: float) -> float | None:
    """Both SDKs write `1h30m` or a moment in ISO 8601, and nothing at all for no time; a number is of milliseconds."""
    if given is None:
        return None
    later = math.nan
    with suppress(ValueError, OverflowError):
        if isinstance(given, int | float) and not isinstance(given, bool):
            later = given / 1000
        elif isinstance(given, str):
            later = _written(given.strip(), now)
    if math.isnan(later):
        raise NoOpcode(f"The time of {op.op} {op.key!r} cannot be read.")
    return min(max(later, 0.0), FURTHEST)


def _written(text: str, now: float) -> float:
    if not text:
        return 0.0
    if _NUMERAL.fullmatch(text):
        return int(text) / 1000
    if _EXTENDED_YEAR.match(text):  # JavaScript's years after 9999
        return FURTHEST
    try:
        return seconds(text)
    except ValueError:
        return moment(text).timestamp() - now


def _named(op: str, hashed: str, value: Mapping[str, Any]) -> str:
    if op == "Step":
        return "StepRun"
    if hashed == _RUN_ITSELF and op in _ERRORS and value.get("userland") is None:
        return _ERRORS[op]
    return op


def _key(hashed: str, value: Mapping[str, Any]) -> str:
    """What we call the step: the text whose hash its id is."""
    for text in _candidates(value):
        # Half a pair of surrogates has no bytes to hash, and Postgres has no zero in a text.
        if hashlib.sha1(text.encode(errors="replace"), usedforsecurity=False).hexdigest() == hashed:
            return text if "\0" not in text else f"#{hashed}"
    return f"#{hashed}"


def _candidates(value: Mapping[str, Any]) -> Iterator[str]:
    userland = value.get("userland")
    index = None
    if isinstance(userland, Mapping) and (name := _text(userland.get("id"))):
        index = userland.get("index")
        index = index if isinstance(index, int) and index > 0 else None
        yield f"{name}:{index}" if index else name
        yield name
    if shown := _text(value.get("displayName")):
        yield shown
        yield from (f"{shown}:{each}" for each in range(1, min(index or _GUESSES, _GUESSES) + 1))


def _took(timing: Any) -> float:
    nanoseconds = timing.get("b") if isinstance(timing, Mapping) else None
    if not isinstance(nanoseconds, int | float) or not 0 < nanoseconds < 1e18:
        return 0.0
    return nanoseconds / 1e9


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
