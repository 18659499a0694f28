"""How far back a page looks: an hour, a day or a week, as its address says."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from starlette.requests import Request

from cdc.store.plots import Window


class _Span(NamedTuple):
    """Seconds back, seconds of a step, seconds of the rows that are read, and words for it and for a step."""

    back: int
    step: int
    width: int
    words: str
    each: str


_DAY = 86400
_SPANS = {
    "1h": _Span(3600, 60, 60, "the last hour", "minute"),
    "24h": _Span(_DAY, 900, 60, "the last 24 hours", "15 minutes"),
    "7d": _Span(7 * _DAY, 7200, 3600, "the last 7 days", "2 hours"),
}
_FIRST = "1h"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen: `window` is what is read, `words` and `each` (step) are for people."""

    name: str
    window: Window
    words: str
    each: str

    @property
    def names(self) -> list[str]:
        """All there are to choose from."""
        return list(_SPANS)


def chosen(request: Request) -> Chosen:
    """What the query asks for; an hour when it asks for nothing that there is."""
    name = request.query_params.get("window", _FIRST)
    name = name if name in _SPANS else _FIRST
    span = _SPANS[name]
    return Chosen(name, _back(span), span.words, span.each)


def days(count: int) -> Window:
    """The last days, by day (UTC), today included."""
    return _back(_Span(count * _DAY, _DAY, 3600, "", ""))


def sparse() -> Window:
    """The last 24 hours in few steps, for plots that are small."""
    return _back(_Span(_DAY, 3600, 3600, "", ""))


def _back(span: _Span) -> Window:
    until = time.time()
    return Window(int((until - span.back) // span.step + 1) * span.step, until, span.step, span.width)
