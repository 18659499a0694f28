"""A run drawn over time: what each step did when, as spans in percent of the whole. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cdc.web.pages.wording import duration

LEAST = 0.4
"""Percent that the shortest span has: what took no time can be seen, too."""

_MOST_TICKS = 6

_STEPS = (
    *(digit * 10.0**power for power in range(-6, 1) for digit in (1, 2, 5)),
    *(10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0),
    *(86400.0 * days for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)),
)
"""Seconds from one tick to the next: round in the unit that they are told in."""

Row = Mapping[str, Any]

_BLANK: Row = dict.fromkeys(
    ("kind", "input", "data", "error", "edited", "calls", "waits_for", "invoked", "wake_at", "started_at", "ended_at")
)
"""What only some steps have."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A line across, and what it is called."""

    x: float
    name: str


@dataclass(frozen=True, slots=True)
class Span:
    """`kind`: queued, done, failed, running, sleep, wait or pause."""

    kind: str
    x: float
    width: float
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """A step, or what is none (`kind` queued, handler, running). `seconds`: how long it took, so far if it goes on.

    `state`: done, failed, running, sleep, wait, pause; over (not finished when the run ended); copied.
    """

    id: str
    kind: str
    state: str
    spans: Sequence[Span]
    seconds: float
    step: Row = field(default_factory=dict)

    @property
    def says(self) -> str:
        """The spans in words."""
        return ", ".join(span.says for span in self.spans)


@dataclass(frozen=True, slots=True)
class Timeline:
    """All of a run, from its creation to its end or `now`."""

    seconds: float
    ticks: Sequence[Tick]
    lines: Sequence[Line]


def of(run: Row, now: datetime) -> Timeline:
    """The timeline of a run with its `steps`, each with its `attempts`."""
    axis = _Axis(run["created_at"], max(run["ended_at"] or now, run["created_at"]))
    lines = [_queued(run, axis), *_handler(run, axis)]
    lines += (_line(step, axis, over=run["ended_at"] is not None) for step in run["steps"])
    lines += _executing(run, axis)
    return Timeline(axis.seconds, axis.ticks(), [replace(line, step={**_BLANK, **line.step}) for line in lines])


@dataclass(frozen=True, slots=True)
class _Axis:
    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return max((self.end - self.start).total_seconds(), 1e-6)

    def at(self, moment: datetime) -> float:
        return min(max((moment - self.start).total_seconds() / self.seconds * 100, 0.0), 100.0)

    def span(self, kind: str, start: datetime, end: datetime, says: str) -> Span:
        """What goes beyond the axis is cut off there."""
        left, right = self.at(start), self.at(end)
        width = max(right - left, LEAST)
        return Span(kind, round(min(left, 100.0 - width), 3), round(width, 3), says)

    def ticks(self) -> list[Tick]:
        step = next((step for step in _STEPS if self.seconds / step <= _MOST_TICKS), _STEPS[-1])
        count = min(int(self.seconds / step), _MOST_TICKS)
        return [Tick(round(n * step / self.seconds * 100, 3), _round(n * step)) for n in range(count + 1)]


def _queued(run: Row, axis: _Axis) -> Line:
    until = run["started_at"] or axis.end
    seconds = (until - run["created_at"]).total_seconds()
    span = axis.span("queued", run["created_at"], until, f"{duration(seconds)} in the queue")
    return Line("", "queued", "done" if run["started_at"] else "pause", [span], seconds)


def _handler(run: Row, axis: _Axis) -> Iterator[Line]:
    """The attempts of the handler itself, where one failed outside of steps."""
    tries = run["attempts"]
    if not any(each["error"] for each in tries) or (len(tries) == 1 and run["ended_at"]):
        return
    spans = [*_attempts(tries, axis)]
    again = run["status"] == "queued" and run["error"] is not None
    if again:
        spans.append(axis.span("pause", tries[-1]["ended_at"], axis.end, f"tried again at {_clock(run['due_at'])}"))
    seconds = ((tries[-1]["ended_at"] or axis.end) - tries[0]["started_at"]).total_seconds()
    state = "pause" if again else spans[-1].kind
    yield Line("", "handler", state, spans, seconds, {"attempts": tries})


def _executing(run: Row, axis: _Axis) -> Iterator[Line]:
    """What is under way is recorded when it is done: until then it is known that something is."""
    if run["status"] == "running" and run["started_at"]:
        since = max([run["started_at"], *(step["ended_at"] for step in run["steps"] if step["ended_at"])])
        seconds = (axis.end - since).total_seconds()
        yield Line("", "running", "running", [axis.span("running", since, axis.end, "executing now")], max(seconds, 0))


def _line(step: Row, axis: _Axis, *, over: bool) -> Line:
    if step.get("copied"):
        span = axis.span("done", axis.start, axis.start, "copied from the run that this one replays")
        return Line(step["id"], step["kind"], "copied", [span], 0.0, step)
    seconds = max(((_ended(step) or axis.end) - step["started_at"]).total_seconds(), 0.0)
    match step["kind"]:
        case "sleep":
            state, spans = _idle("sleep", step, axis, over=over)
        case "wait" | "invoke":
            state, spans = _idle("wait", step, axis, over=over)
        case _:
            state, spans = _body(step, axis, over=over)
    return Line(step["id"], step["kind"], state, spans, seconds, step)


def _ended(step: Row) -> datetime | None:
    """When it ended. That a sleep is over is recorded later, together with what came after it."""
    ended: datetime | None = step["ended_at"]
    return min(ended, step["wake_at"]) if ended and step["kind"] == "sleep" and step["wake_at"] else ended


def _idle(kind: str, step: Row, axis: _Axis, *, over: bool) -> tuple[str, list[Span]]:
    end = _ended(step)
    state = "failed" if step["error"] else "done" if end else "over" if over else kind
    until = "" if end or over or not step["wake_at"] else f", until {_clock(step['wake_at'])} at most"
    verb = {"sleep": "asleep", "wait": "waiting", "invoke": "waiting for the invoked run"}[step["kind"]]
    seconds = ((end or axis.end) - step["started_at"]).total_seconds()
    span = axis.span(kind, step["started_at"], end or axis.end, f"{duration(seconds)} {verb}{until}")
    if state == "failed":
        return state, [span, axis.span("failed", end or axis.end, end or axis.end, "failed")]
    return state, [span]


def _body(step: Row, axis: _Axis, *, over: bool) -> tuple[str, list[Span]]:
    tries, end = step["attempts"], step["ended_at"]
    spans = [*_attempts(tries, axis)]
    if end:
        return "failed" if step["error"] else "done", spans
    since = tries[-1]["ended_at"] if tries else step["started_at"]
    if over:
        return "over", spans or [axis.span("pause", since, since, "not finished")]
    if step["error"] and step["wake_at"]:
        return "pause", [*spans, axis.span("pause", since, axis.end, f"tried again at {_clock(step['wake_at'])}")]
    return "running", [*spans, axis.span("running", since, axis.end, "under way")]


def _attempts(tries: Sequence[Row], axis: _Axis) -> Iterator[Span]:
    """Each, with the pauses between them."""
    before: datetime | None = None
    for each in tries:
        start, end = each["started_at"], each["ended_at"]
        if before is not None and start > before:
            yield axis.span("pause", before, start, f"a pause of {duration((start - before).total_seconds())}")
        took = duration(((end or axis.end) - start).total_seconds())
        kind, verb = ("failed", "failed after") if each["error"] else ("done", "took") if end else ("running", "for")
        alone = len(tries) == 1 and kind == "done"
        yield axis.span(kind, start, end or axis.end, took if alone else f"attempt {each['attempt']} {verb} {took}")
        before = end


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _round(seconds: float) -> str:
    """0, 200 ms, 5 s, 2m, 1h 30m."""
    if not seconds:
        return "0"
    whole = round(seconds, 9)
    text = duration(whole)
    return text.rpartition(" ")[0] if whole >= 60 and text.rpartition(" ")[2] in ("0s", "0m", "0h") else text
