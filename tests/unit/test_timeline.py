"""A run over time: what happened when, in percent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.web.pages import timeline

START = datetime(2026, 3, 1, tzinfo=UTC)
FAILED = {"name": "Oops", "message": "no"}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def run(*steps: dict[str, Any], ended: float | None = 10, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {
        "created_at": START,
        "started_at": at(1),
        "ended_at": None if ended is None else at(ended),
        "status": status,
        "error": None,
        "due_at": at(0),
        "attempts": [],
        "steps": steps,
        **more,
    }


def step(kind: str, start: float, end: float | None, *tries: tuple[float, float, Any], **more: Any) -> dict[str, Any]:
    attempts = [
        {"attempt": number, "started_at": at(begun), "ended_at": at(over), "error": error}
        for number, (begun, over, error) in enumerate(tries, 1)
    ]
    ended = None if end is None else at(end)
    times = {"started_at": at(start), "ended_at": ended, "wake_at": None}
    return {"id": kind, "kind": kind, "error": None, "attempts": attempts, **times, **more}


def shown(line: timeline.Line) -> list[tuple[str, float, float]]:
    return [(span.kind, span.x, span.width) for span in line.spans]


def test_a_step_that_failed_twice_shows_its_attempts_and_the_pauses_between_them() -> None:
    tried = step("run", 2, 8, (2, 3, FAILED), (4, 6, FAILED), (7, 8, None))
    queue, line = timeline.of(run(tried), at(99)).lines
    assert shown(queue) == [("queued", 0, 10)]
    assert shown(line) == [
        ("failed", 20, 10),
        ("pause", 30, 10),
        ("failed", 40, 20),
        ("pause", 60, 10),
        ("done", 70, 10),
    ]
    assert (line.state, line.seconds) == ("done", 6)
    assert "attempt 2 failed after 2 s" in line.says


def test_what_goes_on_reaches_to_now() -> None:
    waits = step("wait", 5, None, wake_at=at(500))
    _, wait, executing = timeline.of(run(waits, ended=None, status="running"), at(10)).lines
    assert (wait.state, shown(wait)) == ("wait", [("wait", 50, 50)])
    assert "until 2026-03-01 00:08:20 UTC" in wait.says
    assert (executing.kind, shown(executing)) == ("running", [("running", 10, 90)])


def test_a_step_that_waits_for_its_next_attempt_is_in_a_pause() -> None:
    tried = step("run", 2, None, (2, 4, FAILED), error=FAILED, wake_at=at(60))
    _, line = timeline.of(run(tried, ended=None, status="queued"), at(10)).lines
    assert (line.state, shown(line)) == ("pause", [("failed", 20, 20), ("pause", 40, 60)])


def test_a_step_that_a_cancelled_run_left_behind_is_neither_done_nor_under_way() -> None:
    _, line = timeline.of(run(step("sleep", 2, None, wake_at=at(500)), status="cancelled"), at(99)).lines
    assert (line.state, shown(line)) == ("over", [("sleep", 20, 80)])


def test_a_sleep_lasts_no_longer_than_it_was_to_last() -> None:
    _, line = timeline.of(run(step("sleep", 2, 9, wake_at=at(5))), at(10)).lines
    assert (line.state, shown(line), line.seconds) == ("done", [("sleep", 20, 30)], 3)


def test_the_handler_has_a_line_where_it_failed_and_was_called_again() -> None:
    tries = [
        {"attempt": 1, "started_at": at(1), "ended_at": at(3), "error": FAILED},
        {"attempt": 2, "started_at": at(5), "ended_at": at(10), "error": None},
    ]
    _, handler = timeline.of(run(attempts=tries), at(99)).lines
    assert (handler.kind, handler.state) == ("handler", "done")
    assert [kind for kind, *_ in shown(handler)] == ["failed", "pause", "done"]


@given(
    st.lists(st.tuples(st.floats(-5, 1e6), st.floats(0, 1e6), st.booleans()), max_size=20),
    st.floats(1e-6, 1e7),
)
def test_every_span_is_seen_and_within_the_axis_and_ticks_are_few(
    spans: list[tuple[float, float, bool]], end: float
) -> None:
    steps = [
        step("run", begun, begun + took, (begun, begun + took, FAILED if failed else None))
        for begun, took, failed in spans
    ]
    drawn = timeline.of(run(*steps, ended=end), at(0))
    for line in drawn.lines:
        for span in line.spans:
            assert span.width >= timeline.LEAST
            assert 0 <= span.x <= span.x + span.width <= 100.01
    assert len(drawn.ticks) <= 7
    assert [tick.x for tick in drawn.ticks] == sorted({tick.x for tick in drawn.ticks})
    assert len({tick.name for tick in drawn.ticks}) == len(drawn.ticks)


@pytest.mark.parametrize(
    ("seconds", "names"),
    [
        (0.0031, ["0", "1 ms", "2 ms", "3 ms"]),
        (46, ["0", "10 s", "20 s", "30 s", "40 s"]),
        (400, ["0", "2m", "4m", "6m"]),
        (3 * 86400, ["0", "12h", "1d", "1d 12h", "2d", "2d 12h", "3d"]),
    ],
)
def test_ticks_are_round(seconds: float, names: list[str]) -> None:
    assert [tick.name for tick in timeline.of(run(ended=seconds), at(0)).ticks] == names
