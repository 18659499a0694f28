"""Plots, made on the server: what `templates/charts.html` draws as SVG.

Across, everything is a part of the width (percents, or a thousandth of a box that is stretched); down it is pixels. So
a plot fills whatever room it has, and its words keep their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cdc.web.pages import axes
from cdc.web.pages.axes import Tick, Unit

HEIGHT = 150
"""Pixels from the top of a plot to its axis."""

WIDE = 1000
"""Across, of what is stretched."""

_LEAST = 1.5
"""Pixels of a bar that is not nothing."""

_MOST = 6
"""Series that can be told apart; the last of them is what is left over."""


Figure = Callable[[Sequence[float | None]], float | None]
"""What stands for all values of a series in the legend."""


class Series(NamedTuple):
    """A name, a value for each step (None: none was measured), and a class of style.css."""

    name: str
    values: Sequence[float | None]
    look: str


class Entry(NamedTuple):
    """A line of the legend."""

    name: str
    look: str
    figure: str


class Bar(NamedTuple):
    """A rectangle: thousandths across, pixels down."""

    x: float
    y: float
    width: float
    height: float
    look: str


class Path(NamedTuple):
    """A line and the area below it, over `WIDE`."""

    line: str
    area: str
    look: str


class Dot(NamedTuple):
    """A point that has no neighbour: percents across, pixels down."""

    x: float
    y: float
    look: str


class Shape(NamedTuple):
    """All bars of one series, as the outline that SVG draws at once."""

    outline: str
    look: str


class Step(NamedTuple):
    """What is told of one step: of its bar or point, and in the table. Thousandths across."""

    x: float
    width: float
    when: str
    figures: list[str]
    told: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A plot over time, ready to be drawn. `empty`: nothing was counted or measured."""

    title: str
    summary: str
    legend: list[Entry]
    scale: list[Tick]
    times: list[Tick]
    steps: list[Step]
    bars: Sequence[Shape] = ()
    paths: Sequence[Path] = ()
    dots: Sequence[Dot] = ()
    empty: bool = False


def named(lines: Iterable[tuple[str, Sequence[float | None]]], looks: dict[str, str] | None = None) -> list[Series]:
    """Series in the order given; beyond those that can be told apart, the rest is added up as `others`."""
    found = list(lines)
    if len(found) > _MOST:
        rest = [[value or 0.0 for value in values] for _, values in found[_MOST - 1 :]]
        found = [*found[: _MOST - 1], ("others", [sum(each) for each in zip(*rest, strict=True)])]
    looks = looks or {}
    return [Series(name, values, looks.get(name, f"series-{n}")) for n, (name, values) in enumerate(found, 1)]


def total(values: Sequence[float | None]) -> float:
    """What they add up to."""
    return sum(value or 0.0 for value in values)


def mean(values: Sequence[float | None]) -> float | None:
    """What they are on average, where there are any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def most(values: Sequence[float | None]) -> float | None:
    """The greatest."""
    return max((value for value in values if value is not None), default=None)


def last(values: Sequence[float | None]) -> float | None:
    """The last that is known."""
    return next((value for value in reversed(values) if value is not None), None)


def lines(
    title: str, times: Sequence[int], step: int, series: Sequence[Series], unit: Unit, *, figure: Figure = last
) -> Chart:
    """Lines over steps that begin at `times`, each `step` seconds long; the legend has a `figure` of each."""
    top, _ = axes.values(axes.greatest([each.values for each in series]), unit)
    paths, dots = _traced(series, top, len(times))
    figures = [figure(each.values) for each in series]
    return _chart(title, times, step, series, unit, figures, top, paths=paths, dots=dots)


def bars(
    title: str,
    times: Sequence[int],
    step: int,
    series: Sequence[Series],
    unit: Unit,
    *,
    over: Sequence[Series] = (),
    figure: Figure = total,
) -> Chart:
    """Bars, those of all series upon each other, and lines `over` them; the legend has a `figure` of each.

    The last step is under way: its bar grows, while a line ends before it.
    """
    piles = [sum(value or 0.0 for value in values) for values in zip(*(each.values for each in series), strict=True)]
    top, _ = axes.values(axes.greatest([piles, *(each.values for each in over)]), unit)
    drawn = piled(series, top)
    shapes = [Shape(_outline(bar for bar in drawn if bar.look == each.look), each.look) for each in series]
    every = [*over, *series]
    figures = [figure(each.values) for each in every]
    paths, dots = _traced([each._replace(values=each.values[:-1]) for each in over], top, len(times))
    return _chart(title, times, step, every, unit, figures, top, bars=shapes, paths=paths, dots=dots)


def piled(series: Sequence[Series], top: float) -> list[Bar]:
    """The bars of each step, the first series at the bottom."""
    found = []
    for number, values in enumerate(zip(*(each.values for each in series), strict=True)):
        width, floor = WIDE / len(series[0].values), float(HEIGHT)
        for each, value in zip(series, values, strict=True):
            if value:
                height = max(_LEAST, value / top * HEIGHT)
                floor -= height
                found.append(Bar((number + 0.1) * width, floor, width * 0.8, height, each.look))
    return found


def spark(values: Sequence[float | None]) -> Path | None:
    """A small line without words, 24 pixels high, up to the step under way; None when there is nothing to see."""
    values = values[:-1]
    top = axes.greatest([values])
    if not top or len(values) < 2:
        return None
    scale = 22 / top
    points = [(n * WIDE / (len(values) - 1), 23 - (value or 0.0) * scale) for n, value in enumerate(values)]
    return _path(points, "series-1", floor=24)


def parts(values: Sequence[float]) -> list[float]:
    """Each value as a percentage of the greatest: the lengths of bars beside each other."""
    top = max(values, default=0.0)
    return [value / top * 100 if top else 0.0 for value in values]


def _chart(
    title: str,
    times: Sequence[int],
    step: int,
    series: Sequence[Series],
    unit: Unit,
    figures: Sequence[float | None],
    top: float,
    **drawn: Sequence[Shape] | Sequence[Path] | Sequence[Dot],
) -> Chart:
    legend = [Entry(each.name, each.look, unit.say(figure)) for each, figure in zip(series, figures, strict=True)]
    _, scale = axes.values(top, unit)
    return Chart(
        title,
        "; ".join(f"{entry.name}: {entry.figure}" for entry in legend) or "nothing",
        legend,
        scale,
        axes.times(times[0], times[-1] + step) if times else [],
        [told for n, moment in enumerate(times) if (told := _step(n, len(times), moment, step, series, unit))],
        empty=not any(value for each in series for value in each.values),
        **drawn,  # type: ignore[arg-type]
    )


def _step(n: int, count: int, moment: int, step: int, series: Sequence[Series], unit: Unit) -> Step | None:
    """What is told of a step; None of one in which nothing was."""
    if not any(each.values[n] for each in series):
        return None
    figures, when = [unit.say(each.values[n]) for each in series], axes.told(moment, step)
    words = [f"{each.name}: {figure}" for each, figure in zip(series, figures, strict=True) if each.values[n]]
    return Step(n * WIDE / count, WIDE / count, when, figures, "\n".join([when, *words]))


def _traced(series: Sequence[Series], top: float, count: int) -> tuple[list[Path], list[Dot]]:
    """Lines through the middles of steps; a dot for each value without a neighbour."""
    paths, dots = [], []
    for each in series:
        for stretch in _stretches(each.values):
            points = [((n + 0.5) / count * WIDE, HEIGHT - value / top * HEIGHT) for n, value in stretch]
            if len(points) == 1:
                dots.append(Dot(points[0][0] / WIDE * 100, points[0][1], each.look))
            else:
                paths.append(_path(points, each.look))
    return paths, dots


def _stretches(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The values that have neighbours, together."""
    found: list[list[tuple[int, float]]] = [[]]
    for n, value in enumerate(values):
        if value is not None:
            found[-1].append((n, value))
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]


def _outline(bars: Iterable[Bar]) -> str:
    return "".join(f"M{b.x:.1f} {b.y:.1f}h{b.width:.1f}v{b.height:.1f}h-{b.width:.1f}z" for b in bars)


def _path(points: Sequence[tuple[float, float]], look: str, floor: float = HEIGHT) -> Path:
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return Path(line, f"{line}L{points[-1][0]:.1f} {floor}L{points[0][0]:.1f} {floor}Z", look)
