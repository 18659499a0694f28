"""Plots: whatever the figures are, what is drawn stays inside, adds up, and can be read."""

from __future__ import annotations

import random

import pytest

from cdc.web.pages import axes, charts
from cdc.web.pages.axes import BYTES, COUNT, MONEY, NUMBER, SECONDS, Unit
from cdc.web.pages.charts import HEIGHT, WIDE, named

NOON = 1_772_366_400
MINUTES = [NOON + 60 * n for n in range(60)]

each_unit = pytest.mark.parametrize("unit", [COUNT, NUMBER, SECONDS, BYTES, MONEY])
each_greatest = pytest.mark.parametrize("greatest", [0, 2e-5, 0.03, 0.7, 1, 3, 10, 59, 61, 3601, 86_000, 1e6, 3.7e12])


@each_unit
@each_greatest
def test_an_axis_has_room_for_the_greatest_value_and_few_ticks_at_figures_that_differ(
    greatest: float, unit: Unit
) -> None:
    top, ticks = axes.values(greatest, unit)
    assert top >= greatest * (1 - 1e-9)
    assert top > 0
    assert 2 <= len(ticks) <= 6
    assert [tick.at for tick in ticks] == sorted({tick.at for tick in ticks})
    assert (ticks[0].at, ticks[0].label, ticks[-1].at) == (0, "0", 1)
    assert len({tick.label for tick in ticks}) == len(ticks)


def test_figures_beside_an_axis_are_round_as_people_count_each_unit() -> None:
    def labels(greatest: float, unit: Unit) -> list[str]:
        return [tick.label for tick in axes.values(greatest, unit)[1]]

    assert labels(170, SECONDS) == ["0", "1m", "2m", "3m"]
    assert labels(3, COUNT) == ["0", "1", "2", "3"]
    assert labels(0.9, COUNT) == ["0", "1"]
    assert labels(9.1, MONEY) == ["0", "$2.50", "$5", "$7.50", "$10"]
    assert labels(3_500_000, BYTES) == ["0", "1 MB", "2 MB", "3 MB", "4 MB"]


@pytest.mark.parametrize("length", [60, 3600, 86_400, 7 * 86_400, 31 * 86_400])
def test_times_below_a_plot_are_few_and_round_and_inside(length: int) -> None:
    ticks = axes.times(NOON + 77, NOON + 77 + length)
    assert 3 <= len(ticks) <= 8
    assert all(0 < tick.at < 1 for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)
    assert [tick.spare for tick in ticks[:3]] == [False, True, False]


def test_times_below_an_hour_are_every_ten_minutes() -> None:
    assert [tick.label for tick in axes.times(NOON, NOON + 3600)] == ["12:10", "12:20", "12:30", "12:40", "12:50"]


def test_what_is_drawn_stays_inside_and_bars_stand_upon_each_other() -> None:
    rolled = random.Random(7)
    figures = [[rolled.choice([None, 0.0, rolled.uniform(0, 900)]) for _ in MINUTES] for _ in range(3)]
    series = named(zip("abc", figures, strict=True))
    drawn = charts.bars("Runs", MINUTES, 60, series, COUNT, over=series[:1])
    assert [shape.look for shape in drawn.bars] == ["series-1", "series-2", "series-3"]
    top = sum(max(value or 0.0 for value in each) for each in figures)
    found = charts.piled(series, top)
    for bar in found:
        assert 0 <= bar.x < bar.x + bar.width <= WIDE
        assert bar.y >= -5
        assert bar.height > 0
    for number in range(len(MINUTES)):
        pile = [bar for bar in found if number * WIDE / 60 <= bar.x < (number + 1) * WIDE / 60]
        assert len(pile) == sum(1 for each in figures if each[number])
        foot = float(HEIGHT)
        for bar in pile:
            assert bar.y + bar.height == pytest.approx(foot)
            foot = bar.y
    for path in charts.lines("Lag", MINUTES, 60, series, SECONDS).paths:
        points = [tuple(map(float, point.split())) for point in path.line[1:].split("L")]
        assert all(0 <= x <= WIDE and 0 <= y <= HEIGHT for x, y in points)
        assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_every_step_that_has_figures_is_told_with_all_of_them() -> None:
    done, failed = [2.0, 0.0, 3.0], [0.0, 0.0, 1.0]
    drawn = charts.bars("Runs", MINUTES[:3], 60, named([("completed", done), ("failed", failed)]), COUNT)
    assert [(step.when, step.figures) for step in drawn.steps] == [
        ("01 Mar 12:00", ["2", "0"]),
        ("01 Mar 12:02", ["3", "1"]),
    ]
    assert drawn.steps[1].told == "01 Mar 12:02\ncompleted: 3\nfailed: 1"
    assert [(entry.name, entry.figure) for entry in drawn.legend] == [("completed", "5"), ("failed", "1")]
    assert drawn.summary == "completed: 5; failed: 1"


def test_a_line_is_broken_where_nothing_was_measured_and_a_lone_value_is_a_dot() -> None:
    values = [1.0, 2.0, None, 4.0, None, None, 3.0, 3.0]
    drawn = charts.lines("Lag", MINUTES[:8], 60, named([("default", values)]), SECONDS)
    assert (len(drawn.paths), len(drawn.dots)) == (2, 1)
    assert drawn.dots[0].x == pytest.approx(3.5 / 8 * 100)
    assert drawn.legend[0].figure == "3 s"
    alone = charts.lines("Lag", MINUTES[:1], 60, named([("default", [5.0])]), SECONDS)
    assert (len(alone.paths), alone.dots[0].x, alone.empty) == (0, 50, False)


@pytest.mark.parametrize("values", [[], [None, None], [0.0, 0.0]])
def test_a_plot_of_nothing_is_empty_and_can_be_made(values: list[float | None]) -> None:
    series = named([("default", values)])
    for make in (charts.lines, charts.bars):
        drawn = make("Lag", MINUTES[: len(values)], 60, series, SECONDS)
        assert (drawn.empty, drawn.steps, [shape.outline for shape in drawn.bars if shape.outline]) == (True, [], [])
    assert charts.bars("Cost", MINUTES, 60, [], MONEY).empty
    assert charts.spark(values) is None


def test_series_that_cannot_be_told_apart_are_added_up() -> None:
    found = named([(str(n), [float(n), None]) for n in range(1, 9)], {"2": "bad"})
    assert [each.name for each in found] == ["1", "2", "3", "4", "5", "others"]
    assert [each.look for each in found] == ["series-1", "bad", "series-3", "series-4", "series-5", "series-6"]
    assert found[-1].values == [6 + 7 + 8, 0]


def test_bars_beside_each_other_are_parts_of_the_longest() -> None:
    assert charts.parts([50.0, 200.0, 0.0]) == [25.0, 100.0, 0.0]
    assert charts.parts([0.0]) == [0.0]
    assert charts.parts([]) == []
