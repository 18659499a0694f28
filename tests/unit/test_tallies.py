"""What is counted in memory adds up, is bounded, and gives durations back as closely as it can."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cdc.tallies import BOUNDS, LONGEST_NAME, MOST_NAMES, OTHER, Tallies, quantile

DURATIONS = st.lists(st.floats(min_value=0, max_value=BOUNDS[-1]), min_size=1, max_size=200)


def tallied(durations: list[float]) -> Tallies:
    book = Tallies()
    for seconds in durations:
        book.time("completed", "f", seconds)
    return book


@given(DURATIONS, st.floats(min_value=0.01, max_value=1))
def test_a_quantile_is_in_the_bucket_of_the_duration_that_it_stands_for(durations: list[float], share: float) -> None:
    (count,) = tallied(durations).counts()
    found = quantile(count.buckets, share)
    assert found is not None
    ordered = sorted(durations)
    exact = ordered[max(0, -(-int(share * len(ordered) * 1e9) // 10**9) - 1)]
    bucket = next(number for number, bound in enumerate(BOUNDS) if exact <= bound)
    around = (BOUNDS[bucket - 2] if bucket > 1 else 0.0, BOUNDS[min(bucket + 1, len(BOUNDS) - 1)])
    assert around[0] <= found <= around[1]


@given(DURATIONS, st.floats(min_value=0, max_value=1), st.floats(min_value=0, max_value=1))
def test_a_greater_share_never_took_less(durations: list[float], one: float, other: float) -> None:
    (count,) = tallied(durations).counts()
    low, high = (quantile(count.buckets, share) for share in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert low <= high


@given(DURATIONS, DURATIONS)
def test_books_add_up_to_what_one_book_would_have_counted(one: list[float], other: list[float]) -> None:
    together = Tallies()
    for book in (tallied(one), tallied(other)):
        together.take(book.drain())
        assert book.drain() == []
    (count,), (whole,) = together.counts(), tallied([*one, *other]).counts()
    assert (count.count, list(count.buckets)) == (whole.count, list(whole.buckets))
    assert abs(count.seconds - whole.seconds) <= 1e-6 * whole.seconds


def test_beyond_a_number_of_names_and_characters_nothing_is_told_apart_and_nothing_lost() -> None:
    book = Tallies()
    for number in range(MOST_NAMES + 50):
        book.add("event", f"sent/{number:04}{'x' * 1000}", 2)
    counts = book.counts()
    assert len(counts) == MOST_NAMES + 1
    assert max(len(each.name) for each in counts) == LONGEST_NAME
    assert sum(each.count for each in counts) == 2 * (MOST_NAMES + 50)
    assert book.of("event")[OTHER].count == 100


def test_what_takes_longer_than_all_bounds_is_counted_and_negative_times_are_none() -> None:
    book = tallied([BOUNDS[-1] * 10, -1.0])
    (count,) = book.counts()
    assert (count.buckets[0], count.buckets[-1]) == (1, 1)
    assert quantile(count.buckets, 1) == BOUNDS[-1]
    assert quantile([], 0.5) is None
