"""An app out of reach is left alone, and found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cdc.remote.breaker import LONGEST, PATIENCE, SHORTEST, Breaker
from cdc.remote.traffic import OutOfReach, Traffic

NONE: frozenset[str] = frozenset()


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Laws(RuleBasedStateMachine):
    """Whatever calls come to, and whenever."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(self.clock, lambda: 1.0)
        self.under_way: list[bool] = []
        self.missed = 0
        self.pause = 0.0

    @rule(eighths=st.integers(0, 16 * int(LONGEST)))
    def time_passes(self, eighths: int) -> None:
        self.clock.now += eighths / 8  # sums of these are exact

    @rule()
    def a_call_is_made(self) -> None:
        room, closed = self.breaker.has_room, self.breaker.is_closed
        assert self.breaker.admits() == room
        assert room or not closed, "one that is closed admits all"
        if room:
            assert closed or not any(self.under_way), "one at a time until one gets there"
            self.under_way.append(not closed)

    @precondition(lambda self: self.under_way)
    @rule()
    def it_gets_there(self) -> None:
        self.under_way.pop()
        self.under_way = [False] * len(self.under_way)
        self.breaker.reached()
        self.missed, self.pause = 0, 0.0
        assert self.breaker.is_closed
        assert self.breaker.has_room

    @precondition(lambda self: self.under_way)
    @rule()
    def it_does_not(self) -> None:
        tried, closed, before = self.under_way.pop(), self.breaker.is_closed, self.breaker.opens_in
        self.breaker.unreached()
        self.missed += 1
        if self.missed < PATIENCE:
            assert self.breaker.is_closed
        elif tried or closed:
            self.pause = min(LONGEST, self.pause * 2 or SHORTEST)
            assert self.breaker.opens_in == self.pause
        else:
            assert self.breaker.opens_in == before, "one from before changes nothing"

    @precondition(lambda self: self.under_way)
    @rule()
    def nobody_waits_for_it(self) -> None:
        tried = self.under_way.pop()
        if tried:
            self.breaker.given_up()
            assert self.breaker.has_room

    @invariant()
    def it_is_never_left_alone_for_long(self) -> None:
        assert 0 <= self.breaker.opens_in <= LONGEST
        if not self.breaker.is_closed and not any(self.under_way):
            assert self.breaker.has_room == (self.breaker.opens_in == 0)


TestLaws = Laws.TestCase


@given(st.floats(0, 1))
def test_apps_are_not_all_tried_at_the_same_moment(spread: float) -> None:
    breaker = Breaker(Clock(), lambda: spread)
    for _ in range(PATIENCE):
        breaker.unreached()
    assert 0.75 * SHORTEST <= breaker.opens_in <= SHORTEST


async def test_room_is_what_is_left_of_the_limit_and_none_out_of_reach() -> None:
    clock = Clock()
    traffic = Traffic(PATIENCE, clock)
    async with traffic.call("a") as breaker:
        assert (traffic.room("a"), traffic.room("b"), traffic.full()) == (PATIENCE - 1, PATIENCE, NONE)
        for _ in range(PATIENCE):
            breaker.unreached()
    assert (traffic.room("a"), traffic.room("b"), traffic.full()) == (0, PATIENCE, frozenset("a"))
    with pytest.raises(OutOfReach) as away:
        await traffic.call("a").__aenter__()
    assert away.value.seconds == traffic.reopens_in() != 0
    clock.now += LONGEST
    assert (traffic.room("a"), traffic.reopens_in()) == (1, 0)
    async with traffic.call("a") as breaker:
        assert traffic.room("a") == 0
        breaker.reached()
        assert traffic.room("a") == PATIENCE - 1
    assert traffic.reopens_in() is None


async def test_a_call_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    clock = Clock()
    traffic = Traffic(1, clock)
    async with traffic.call("a") as breaker:
        for _ in range(PATIENCE):
            breaker.unreached()
    clock.now += LONGEST
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with traffic.call("a"):
                raise TimeoutError
        assert traffic.room("a") == 1
