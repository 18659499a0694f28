from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc import RetryAfter
from cdc.engine.backoff import LONGEST, delay, delay_for


def test_delays_double_up_to_an_hour() -> None:
    assert [delay(attempt) for attempt in (1, 2, 3, 12, 13, 14)] == [1, 2, 4, 2048, LONGEST, LONGEST]


@given(st.integers(1, 10**9))
def test_a_later_attempt_never_waits_less(attempt: int) -> None:
    assert 1.0 <= delay(attempt) <= delay(attempt + 1) <= LONGEST


@given(st.integers(1, 100))
def test_an_ordinary_error_waits_by_its_attempt(attempt: int) -> None:
    assert delay_for(RuntimeError(), attempt) == delay(attempt)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(90, 90.0), (0, 0.0), (0.25, 0.25), ("1h30m", 5400.0), ("250ms", 0.25), (timedelta(minutes=2), 120.0)],
)
def test_an_error_that_says_when_is_believed_whatever_the_attempt(asked: object, seconds: float) -> None:
    assert delay_for(RetryAfter("busy", asked), 1) == delay_for(RetryAfter("busy", asked), 20) == seconds


@given(st.integers(1, 100))
def test_an_error_that_names_no_time_waits_like_any_other(attempt: int) -> None:
    assert delay_for(RetryAfter("busy", None), attempt) == delay(attempt)


def test_a_time_to_come_is_waited_for_and_a_past_one_is_not() -> None:
    assert 3540 < delay_for(RetryAfter("busy", datetime.now(UTC) + timedelta(hours=1)), 1) <= 3600
    assert delay_for(RetryAfter("busy", datetime.now(UTC) - timedelta(hours=1)), 1) == 0.0


@pytest.mark.parametrize(
    "asked",
    [-1, float("inf"), float("nan"), "", "soon", "-5s", timedelta(seconds=-1), datetime(2026, 1, 1), [5]],
)
def test_what_is_no_time_is_refused(asked: object) -> None:
    with pytest.raises(ValueError, match=r"duration|time zone"):
        delay_for(RetryAfter("busy", asked), 1)
