"""What was counted, as pages show it: plots over a window of time, and tables of what each function or model did in it.

Nothing here reads events or runs: what it costs depends on the window and on how many names there are (at most
`cdc.tallies.MOST_NAMES` of a kind in a minute), not on how much happened. Counts come here some seconds late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from cdc.store.connect import Connection
from cdc.store.plots import Line, Plot, Window, line, plot
from cdc.store.tallied import ALL, HOUR, Bins, bins_of, sums_of, timed_of
from cdc.tallies import DOLLAR, KINDS, OTHER, Count, quantile

RUNS = ("started", "completed", "failed", "cancelled")

_AI_KINDS = ("call", "call_failed", "input_tokens", "output_tokens", "cost", "unpriced")
_ASKED_KINDS = ("function_calls", "function_tokens", "function_cost")
_NONE = Count("", "", 0)


class FunctionFigures(NamedTuple):
    """What a function did in a window. `success`: the share of those that ended which completed, None if none ended so.

    Times are in seconds, None of none: `took` from start to end of runs that completed or failed, `waited` from when a
    run was due until it was claimed first; interpolated within buckets (`cdc.tallies.quantile`).
    """

    function: str
    started: int
    completed: int
    failed: int
    cancelled: int
    retried: int
    per_second: float
    success: float | None
    took_p50: float | None
    took_p95: float | None
    waited_p50: float | None
    waited_p95: float | None


class FunctionPlots(NamedTuple):
    """One function over time: runs in each step (lines as `RUNS`); the share of those that ended which completed (line
    `success`, 0 to 1, None where none ended); seconds from start to end and from due to start (lines `p50` and `p95`,
    None where there are none).
    """

    runs: Plot
    success: Plot
    took: Plot
    waited: Plot


class ModelFigures(NamedTuple):
    """What calls of one model (`provider/model`) came to in a window. `cost`: US dollars of the calls whose price is
    known; `unpriced`: how many answered ones have none. Latency is that of answered calls, in seconds.
    """

    model: str
    calls: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost: float
    unpriced: int
    latency_p50: float | None
    latency_p95: float | None


class AskerFigures(NamedTuple):
    """What calls of models one function made in a window; `vectors`: requests for vectors, of all together."""

    function: str
    calls: int
    tokens: int
    cost: float


# --- of everything -----------------------------------------------------------------------------------------------


async def totals(conn: Connection, window: Window) -> dict[str, int]:
    """How much of each kind (`cdc.tallies.KINDS`) was counted in the window, all names together; 0 included."""
    bins = await bins_of(conn, _whole(window), list(KINDS), [ALL])
    return {what: sum(bins.get((what, ALL), {}).values()) for what in KINDS}


async def events(conn: Connection, window: Window, *, top: int = 5) -> Plot:
    """Events accepted per second: a line `all`, one for each of the `top` names, and `other` for the rest.

    The step under way counts the seconds of it that are over.
    """
    names = await _most(conn, window, "event", top)
    bins = await bins_of(conn, window, ["event"], [ALL, *names])
    return plot(window, [_per_second(window, each) for each in _with_rest(window, bins, "event", names)])


async def runs(conn: Connection, window: Window, function: str = ALL) -> Plot:
    """Runs in each step, of all functions or of one: lines as `RUNS`."""
    bins = await bins_of(conn, window, RUNS, [function])
    return plot(window, [line(what, window, bins.get((what, function), {})) for what in RUNS])


async def costs(conn: Connection, window: Window, *, by: Literal["model", "function"] = "model", top: int = 5) -> Plot:
    """US dollars that calls of models cost in each step: a line `all`, one for each of the `top` models or functions
    that cost most, and `other` for the rest. For cost per day, give the window `31d`.
    """
    what = "cost" if by == "model" else "function_cost"
    names = await _most(conn, window, what, top)
    bins = await bins_of(conn, window, [what], [ALL, *names])
    lines = _with_rest(window, bins, what, names)
    dollars = [Line(name, [None if value is None else value / DOLLAR for value in values]) for name, values in lines]
    return plot(window, dollars)


# --- of each function, of each model -----------------------------------------------------------------------------


async def functions(conn: Connection, window: Window) -> list[FunctionFigures]:
    """What each function did in the window, those that started most first; none that did nothing.

    A window longer than an hour begins with a whole hour.
    """
    found = _by_name(await sums_of(conn, _whole(window), (*RUNS, "retried")))
    seconds = window.until - _whole(window).since
    figures = [_function(name, kinds, max(1.0, seconds)) for name, kinds in found.items() if name != ALL]
    return sorted(figures, key=lambda each: (-each.started, each.function))


async def function(conn: Connection, window: Window, id: str) -> FunctionPlots:
    """One function over time."""
    bins = await bins_of(conn, window, RUNS, [id])
    timed = await timed_of(conn, window, ("started", "completed", "failed"), id)
    completed, failed = bins.get(("completed", id), {}), bins.get(("failed", id), {})
    ended = {number: completed.get(number, 0) + failed.get(number, 0) for number in (*completed, *failed)}
    success = {number: completed.get(number, 0) / count for number, count in ended.items() if count}
    took = {
        number: _together(timed["completed"].get(number, ()), timed["failed"].get(number, ()))
        for number in (*timed["completed"], *timed["failed"])
    }
    return FunctionPlots(
        plot(window, [line(what, window, bins.get((what, id), {})) for what in RUNS]),
        plot(window, [line("success", window, success, None)]),
        _quantiles(window, took),
        _quantiles(window, timed["started"]),
    )


async def models(conn: Connection, window: Window) -> list[ModelFigures]:
    """What calls of each model came to in the window, those that were called most first."""
    found = _by_name(await sums_of(conn, _whole(window), _AI_KINDS))
    figures = [_model(name, kinds) for name, kinds in found.items() if name != ALL]
    return sorted(figures, key=lambda each: (-each.calls - each.failed, each.model))


async def askers(conn: Connection, window: Window) -> list[AskerFigures]:
    """What calls of models each function made in the window, those that cost most first."""
    found = _by_name(await sums_of(conn, _whole(window), _ASKED_KINDS))
    figures = [
        AskerFigures(
            name,
            _count(kinds, "function_calls"),
            _count(kinds, "function_tokens"),
            _count(kinds, "function_cost") / DOLLAR,
        )
        for name, kinds in found.items()
        if name != ALL
    ]
    return sorted(figures, key=lambda each: (-each.cost, -each.calls, each.function))


async def _most(conn: Connection, window: Window, what: str, top: int) -> list[str]:
    """The names that were counted most."""
    names = [each.name for each in await sums_of(conn, _whole(window), [what])]
    return [name for name in names if name not in (ALL, OTHER)][:top]


def _whole(window: Window) -> Window:
    """The same window for sums: hours are enough for what is longer than one, and far fewer."""
    if window.until - window.since <= HOUR:
        return window
    return Window(window.since - window.since % HOUR, window.until, HOUR, HOUR)


def _by_name(sums: Sequence[Count]) -> dict[str, dict[str, Count]]:
    found: dict[str, dict[str, Count]] = {}
    for each in sums:
        found.setdefault(each.name, {})[each.what] = each
    return found


def _count(kinds: Mapping[str, Count], what: str) -> int:
    return kinds.get(what, _NONE).count


def _function(name: str, kinds: Mapping[str, Count], seconds: float) -> FunctionFigures:
    completed, failed = _count(kinds, "completed"), _count(kinds, "failed")
    took = _together(kinds.get("completed", _NONE).buckets, kinds.get("failed", _NONE).buckets)
    waited = kinds.get("started", _NONE).buckets
    return FunctionFigures(
        name,
        _count(kinds, "started"),
        completed,
        failed,
        _count(kinds, "cancelled"),
        _count(kinds, "retried"),
        _count(kinds, "started") / seconds,
        completed / (completed + failed) if completed + failed else None,
        quantile(took, 0.5),
        quantile(took, 0.95),
        quantile(waited, 0.5),
        quantile(waited, 0.95),
    )


def _model(name: str, kinds: Mapping[str, Count]) -> ModelFigures:
    latency = kinds.get("call", _NONE).buckets
    return ModelFigures(
        name,
        _count(kinds, "call") + _count(kinds, "call_failed"),
        _count(kinds, "call_failed"),
        _count(kinds, "input_tokens"),
        _count(kinds, "output_tokens"),
        _count(kinds, "cost") / DOLLAR,
        _count(kinds, "unpriced"),
        quantile(latency, 0.5),
        quantile(latency, 0.95),
    )


def _with_rest(window: Window, bins: Bins, what: str, names: Sequence[str]) -> list[Line]:
    """All together, each of these names, and what is left over."""
    every = bins.get((what, ALL), {})
    chosen = [bins.get((what, name), {}) for name in names]
    rest = {number: count - sum(each.get(number, 0) for each in chosen) for number, count in every.items()}
    labelled = [("all", every), *zip(names, chosen, strict=True)]
    labelled += [(OTHER, rest)] if any(rest.values()) else []
    return [line(name, window, counts) for name, counts in labelled]


def _per_second(window: Window, each: Line) -> Line:
    return Line(each.name, [(value or 0.0) / over for value, over in zip(each.values, window.elapsed, strict=True)])


def _quantiles(window: Window, timed: Mapping[int, Sequence[int]]) -> Plot:
    lines = []
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        found = {number: quantile(buckets, share) for number, buckets in timed.items()}
        lines.append(Line(name, [found.get(number) for number in window.bins]))
    return plot(window, lines)


def _together(one: Sequence[int], other: Sequence[int]) -> Sequence[int]:
    if not one or not other:
        return one or other
    return [a + b for a, b in zip(one, other, strict=True)]
