from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.clock import seconds


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("250ms", 0.25),
        ("90s", 90.0),
        ("1.5m", 90.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("3d", 259_200.0),
        ("2w", 1_209_600.0),
        (5, 5.0),
        (0, 0.0),
        (0.25, 0.25),
        (timedelta(minutes=2), 120.0),
    ],
)
def test_a_duration_is_read_as_people_write_it(duration: str | float | timedelta, expected: float) -> None:
    assert seconds(duration) == expected


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_parts_add_up(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest


@pytest.mark.parametrize("text", ["", "soon", "5", "5 minutes", "-5s", "5s!", "1h-30m", "s", "1.s", "5S", "ms5"])
def test_anything_else_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it like '90s', '5m' or '1h30m'"):
        seconds(text)


@pytest.mark.parametrize("duration", [-1, -0.5, float("inf"), float("nan"), timedelta(seconds=-1)])
def test_a_duration_is_finite_and_not_negative(duration: float | timedelta) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds(duration)
