"""Figures, times and data as people read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from math import floor, log10
from typing import Any

LONGEST = 65_536
"""Characters of one value on a page."""

_NOTHING = "—"

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def number(value: float | None) -> str:
    """1,234 or 12.3k or 4.56M."""
    if value is None:
        return _NOTHING
    for least, unit in ((1e9, "G"), (1e6, "M"), (1e5, "k")):
        if abs(value) >= least:
            return f"{value / (1e3 if unit == 'k' else least):.3g}{unit}"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def size(count: float | None) -> str:
    """Bytes: 512 B, 1.5 kB, 20 MB."""
    if count is None:
        return _NOTHING
    for least, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= least:
            return f"{count / least:.3g} {unit}"
    return f"{count:.0f} B"


def duration(seconds: float | None) -> str:
    """820 µs, 12 ms, 3.4 s, 2m 5s, 3h 20m, 4d 2h."""
    if seconds is None:
        return _NOTHING
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < _MINUTE:
        return f"{seconds:.3g} s"
    for large, small, names in ((_MINUTE, 1, "ms"), (_HOUR, _MINUTE, "hm"), (_DAY, _HOUR, "dh")):
        if seconds < large * (24 if large == _HOUR else 60) or large == _DAY:
            whole, rest = divmod(int(seconds), large)
            return f"{whole}{names[0]} {rest // small}{names[1]}"
    raise AssertionError("days are without end")


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from one to the other; of what has not ended, until now. Clocks that differ do not turn time back."""
    return None if start is None else max(0.0, ((end or datetime.now(UTC)) - start).total_seconds())


def moment(value: datetime | None) -> str:
    """2026-03-01 12:30:05.123 in UTC."""
    return _NOTHING if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def ago(value: datetime | None) -> str:
    """How long ago, or in how long."""
    if value is None:
        return _NOTHING
    seconds = (datetime.now(UTC) - value).total_seconds()
    if abs(seconds) < 1:
        return "now"
    words = duration(int(abs(seconds)))
    return f"{words} ago" if seconds > 0 else f"in {words}"


def pretty(value: Any, longest: int = LONGEST) -> str:
    """JSON on many lines; what is too long is cut, and says so. NULs and lone surrogates stay escapes."""
    return cut(json.dumps(value, indent=2, ensure_ascii=False, default=str), longest)


def whole(value: Any, longest: int = LONGEST) -> str | None:
    """JSON on many lines, for people to edit; None: it is too long."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    return readable(text) if len(text) <= longest else None


def brief(value: Any, longest: int = 120) -> str:
    """The beginning of JSON on one line."""
    text = readable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= longest else f"{text[:longest]}…"


def cut(text: str, longest: int = LONGEST) -> str:
    """What is too long is cut, and says so."""
    text = readable(text)
    return text if len(text) <= longest else f"{text[:longest]}\n… {len(text) - longest:,} characters more"


def readable(text: str) -> str:
    """Text; what of it is none (NUL, half a surrogate pair) as escapes."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def money(dollars: float | None) -> str:
    """$1.23, $0.0042."""
    if dollars is None:
        return _NOTHING
    places = 2 if dollars >= 1 or not dollars else max(2, 1 - floor(log10(dollars)))
    return f"${dollars:,.{places}f}"


def percent(part: float | None) -> str:
    """99.5 %."""
    return _NOTHING if part is None else f"{part * 100:.3g} %"


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago,
    "between": between,
    "brief": brief,
    "cut": cut,
    "duration": duration,
    "moment": moment,
    "money": money,
    "number": number,
    "percent": percent,
    "pretty": pretty,
    "size": size,
    "whole": whole,
}
