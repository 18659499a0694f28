"""How far a source is behind, by what was received and what was accepted of its WAL."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cdc.web.status import Status


def test_the_oldest_wal_that_is_not_accepted_tells_how_late_it_is() -> None:
    status = Status("default", "cdc", "cdc")
    assert (status.lag_bytes, status.lag_seconds(0)) == (0, 0)
    status.look(100, 100, 1.0)
    assert status.lag_seconds(5.0) == 0
    status.look(200, 100, 10.0)
    status.look(300, 100, 20.0)
    assert (status.lag_bytes, status.lag_seconds(30.0)) == (200, 20)
    status.look(300, 200, 31.0)
    assert (status.lag_bytes, status.lag_seconds(31.0)) == (100, 11), (
        "what came at 10 is accepted, what came at 20 is not"
    )
    status.look(300, 300, 32.0)
    assert (status.lag_bytes, status.lag_seconds(99.0)) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=60))
def test_lag_in_seconds_and_in_bytes_are_there_together_and_never_more_than_has_passed(
    moves: list[tuple[int, int]],
) -> None:
    status = Status("default", "cdc", "cdc")
    received = confirmed = 0
    for now, (more, accepted) in enumerate(moves):
        received += more
        confirmed = min(received, confirmed + accepted)
        status.look(received, confirmed, float(now))
        assert status.lag_bytes == received - confirmed
        assert (status.lag_seconds(now + 0.5) > 0) == (status.lag_bytes > 0)
        assert status.lag_seconds(now + 0.5) <= now + 0.5
