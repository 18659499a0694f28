from __future__ import annotations

from collections.abc import Sequence

import pytest

from cdc.embedding.pace import Pace
from cdc.embedding.providers.rates import Rate, rates
from cdc.embedding.room import Room


def answer(pace: Pace, times: int, *, latency: float = 0.1, now: float = 0.0) -> None:
    for _ in range(times):
        one(pace, now, latency, busy=True)


def one(pace: Pace, now: float, latency: float = 0.1, told: Sequence[Rate] = (), *, busy: bool = False) -> None:
    start = pace.started(now, 1)
    pace.answered(now, start, latency, told, busy=busy)
    pace.ended(start)


def test_after_each_good_round_one_more_goes_at_a_time_up_to_the_most() -> None:
    pace = Pace(start=2, most=4)
    seen = []
    for places in (2, 3, 4, 4):
        answer(pace, places)
        seen.append(pace.places)
    assert seen == [3, 4, 4, 4]


def test_answers_while_nothing_waits_say_nothing_about_more_places() -> None:
    pace = Pace(start=2, most=4)
    for _ in range(9):
        one(pace, 0.0)
    assert pace.places == 2


def test_a_provider_that_gets_slower_gets_no_more_at_a_time_than_at_first() -> None:
    pace = Pace(start=2, most=32)
    for places in (2, 3, 4):
        answer(pace, places)
    for _ in range(20):
        answer(pace, pace.places, latency=1.0)
        if pace.places == 2:
            break
    assert pace.places == 2


def test_refusals_of_one_round_halve_once_and_never_below_one() -> None:
    pace = Pace(start=8, most=8)
    rounds = [pace.started(0.0, 1) for _ in range(8)]
    for round_ in rounds:
        pace.refused(0.0, round_, 1.0)
    assert pace.places == 1, "one goes ahead"
    one(pace, 2.0)
    assert pace.places == 4
    for _ in range(5):
        pace.refused(2.0, pace.started(2.0, 1), 1.0)
    one(pace, 5.0)
    assert pace.places == 1


def test_answers_to_what_was_asked_before_the_refusal_open_nothing() -> None:
    pace = Pace(start=8, most=8)
    pace.refused(0.0, pace.started(0.0, 1), 1.0)
    answer(pace, 20, now=0.5)
    assert pace.places == 1
    answer(pace, 1, now=1.2)
    assert pace.places == 4


def test_a_request_carries_no_more_tokens_than_the_limit_has_and_fewer_when_it_is_refused_again_and_again() -> None:
    pace = Pace(start=8, most=8)
    assert pace.tokens(300_000) == 300_000
    one(pace, 0.0, 0.1, [Rate("tokens", 40_000, 40_000, 0.0)])
    assert pace.tokens(300_000) == 40_000
    for _ in range(4):
        pace.refused(0.0, pace.started(0.0, 1), 1.0)
    assert pace.tokens(300_000) == 10_000
    one(pace, 2.0)
    assert pace.tokens(300_000) == 40_000


def test_nothing_starts_before_the_provider_wants_to_be_asked_again() -> None:
    pace = Pace(start=8, most=8)
    assert 2.0 <= pace.refused(10.0, pace.started(10.0, 1), 2.0) <= 2.2
    assert 0.5 <= pace.wait(11.5, 1) <= 0.7
    assert pace.wait(12.21, 1) == 0


def test_a_provider_that_does_not_say_when_is_left_alone_longer_each_time() -> None:
    pace = Pace(start=8, most=8)
    now, waits = 0.0, []
    for _ in range(8):
        waits.append(pace.refused(now, pace.started(now, 1), None))
        now += waits[-1]
    for wait, least in zip(waits, (1, 2, 4, 8, 16, 30, 30, 30), strict=True):
        assert least <= wait <= least * 1.1 + 1e-9


def test_an_earlier_request_that_is_refused_late_does_not_shorten_the_wait() -> None:
    pace = Pace(start=8, most=8)
    early, late = pace.started(0.0, 1), pace.started(0.0, 1)
    pace.refused(0.0, early, 20.0)
    pace.refused(1.0, late, 1.0)
    assert pace.wait(2.0, 1) >= 18


def test_requests_keep_to_the_rate_that_refusals_showed() -> None:
    pace = Pace(start=4, most=4)
    pace.refused(0.0, pace.started(0.0, 1), 1.0)
    answer(pace, 10, now=2.0)
    pace.refused(5.0, pace.started(5.0, 1), 1.0)  # ten in five seconds
    now = 10.0
    assert pace.wait(now, 1) == 0
    pace.started(now, 1)
    assert pace.wait(now, 1) == pytest.approx(0.5)
    assert pace.scarce
    answer(pace, 200, now=now)
    pace.started(now, 1)
    assert pace.wait(now + 0.5, 1) == 0
    assert not pace.scarce


def test_what_is_left_of_a_limit_is_kept_to() -> None:
    pace = Pace(start=8, most=8)
    one(pace, 0.0, 0.1, [Rate("requests", 60, 1, 59.0), Rate("tokens", 1000, 500, 50.0)])
    assert pace.wait(0.0, 500) == 0
    start = pace.started(0.0, 500)
    assert pace.wait(0.0, 0) == pytest.approx(1.0)
    assert pace.wait(1.0, 100) == pytest.approx(9.0)
    assert pace.wait(0.0, 10**9) == pytest.approx(100.0), "what no bucket holds goes when it is full"
    pace.ended(start)
    one(pace, 2.0, 0.1, [Rate("requests", 60, 60, 0.0), Rate("tokens", 1000, 1000, 0.0)])
    assert pace.wait(2.0, 1000) == 0


def test_requests_on_their_way_are_taken_off_what_an_answer_says_is_left() -> None:
    pace = Pace(start=8, most=8)
    first, second, third = (pace.started(0.0, 100) for _ in range(3))
    pace.answered(0.0, first, 0.1, [Rate("requests", 60, 2, 58.0)])
    pace.ended(first)
    assert pace.wait(0.0, 100) == pytest.approx(1.0), "the two others may not have been counted"
    pace.answered(0.0, second, 0.1, [Rate("requests", 60, 2, 58.0)])
    assert pace.wait(0.0, 100) == 0
    pace.ended(third)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, []),
        (
            {
                "x-ratelimit-limit-requests": "500",
                "x-ratelimit-remaining-requests": "499",
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-limit-tokens": "1000000",
                "x-ratelimit-remaining-tokens": "999000",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            [Rate("requests", 500, 499, 0.12), Rate("tokens", 1e6, 999e3, 360.0)],
        ),
        (
            {
                "x-ratelimit-limit-requests": "5",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1h2m3.5s",
            },
            [Rate("requests", 5, 0, 3723.5)],
        ),
        ({"x-ratelimit-remaining-requests": "10"}, []),
        (
            {
                "x-ratelimit-limit-requests": "-1",
                "x-ratelimit-remaining-requests": "1",
                "x-ratelimit-reset-requests": "1s",
            },
            [],
        ),
        (
            {
                "x-ratelimit-limit-tokens": "5",
                "x-ratelimit-remaining-tokens": "1",
                "x-ratelimit-reset-tokens": "soon",
            },
            [],
        ),
    ],
)
def test_headers_of_limits_are_read_when_they_are_complete(headers: dict[str, str], expected: list[Rate]) -> None:
    assert list(rates(headers)) == expected


def test_a_character_counts_as_a_token_until_the_provider_has_counted() -> None:
    room = Room(100, 1000)
    texts = ["x" * 100] * 4
    assert room.estimate(400) == 400
    for _ in range(30):
        room.held(texts, 100)
    assert room.estimate(400) == pytest.approx(120, rel=0.01)
    room.held(texts, 800)
    assert room.estimate(400) == pytest.approx(960), "denser texts are believed at once"
    room.held(texts, None)
    assert room.estimate(400) == pytest.approx(960)


def test_a_request_that_was_too_much_makes_the_next_smaller() -> None:
    room = Room(2048, 1000)
    room.was_too_much(["x" * 9] * 64)
    assert room.estimate(1) == 2, "its texts came near the limit on tokens"
    assert room.inputs == 2048
    room.was_too_much(["x"] * 64)
    room.was_too_much(["x"] * 128)
    assert room.inputs == 32, "its texts were short: there were too many of them"
