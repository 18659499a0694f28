"""What stands in a log line stays in it, says where it was told, and shows no local variables."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from cdc import telemetry

HOSTILE = "a\n12:00:00 [info     ] all is well\r\x1b[2J\x1b]0;title\x07\u2028b\u2029c\u202etxt\u2066\x85\x9b1m\0\ud800"

each_format = pytest.mark.parametrize("form", ["console", "json"])


class Unwilling:
    def __repr__(self) -> str:
        raise RuntimeError("no text of mine")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The process is set up for other tests again."""
    root = logging.getLogger()
    handlers, level, kept = list(root.handlers), root.level, structlog.get_config()
    yield
    structlog.configure(**kept)
    structlog.contextvars.clear_contextvars()
    root.handlers[:], root.level = handlers, level


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.removesuffix("\n").split("\n")


@each_format
@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"value": HOSTILE}, id="text"),
        pytest.param({"value": {HOSTILE: [HOSTILE]}}, id="nested"),
        pytest.param({"value": HOSTILE.encode(errors="replace")}, id="bytes"),
        pytest.param({"value": Unwilling()}, id="without a text"),
        pytest.param({"value": {(1, 2): Unwilling()}}, id="no JSON"),
        pytest.param({"value": float("nan")}, id="no number"),
        pytest.param({HOSTILE: 1}, id="name"),
    ],
)
def test_what_a_line_is_given_makes_no_other_line(
    capsys: pytest.CaptureFixture[str], form: telemetry.Format, fields: dict[str, Any]
) -> None:
    telemetry.configure("info", form)
    structlog.get_logger().info(HOSTILE, **fields)
    logging.getLogger("library").warning(HOSTILE)
    logging.getLogger("library").warning("%d", HOSTILE)
    told = lines(capsys)
    assert len(told) == 3
    assert all(line.isprintable() for line in told)
    if form == "json":
        assert [json.loads(line)["event"] for line in told] == [HOSTILE, HOSTILE, "%d"]


@each_format
def test_an_exception_is_shown_with_its_frames_and_without_their_variables(
    capsys: pytest.CaptureFixture[str], form: telemetry.Format
) -> None:
    telemetry.configure("info", form)
    password = "hunter" + "2"
    for tell in (structlog.get_logger().exception, logging.getLogger("library").exception):
        try:
            raise ValueError(HOSTILE + "!" * len(password))
        except ValueError:
            tell("it failed")
        told = lines(capsys)
        assert "hunter2" not in "".join(told)
        assert "ValueError" in "".join(told)
        assert "test_telemetry.py" in "".join(told)
        if form == "console":
            assert "it failed" in told[0]
            assert all(line.startswith("    ") and line.isprintable() for line in told[1:])
        else:
            assert json.loads(told[0])["exception"].startswith("Traceback")


@each_format
def test_huge_values_are_cut(capsys: pytest.CaptureFixture[str], form: telemetry.Format) -> None:
    telemetry.configure("info", form)
    huge = "x" * 1_000_000
    structlog.get_logger().info(huge, text=huge, many=[huge], number=10**100_000)
    try:
        raise ValueError(huge + "the end")
    except ValueError:
        structlog.get_logger().exception("it failed")
    told = capsys.readouterr().err
    assert len(told) < 60_000
    assert "more characters" in told
    assert "the end" in told


def test_a_line_says_where_it_was_told_and_its_own_fields_win(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("info", "json", process="worker")
    token = telemetry.about.set(lambda: {"run": "1", "step": "a"})
    try:
        structlog.get_logger().info("here", step="b")
        logging.getLogger("library").warning("here")
    finally:
        telemetry.about.reset(token)
    structlog.get_logger().info("elsewhere")
    here, library, elsewhere = map(json.loads, lines(capsys))
    assert here.items() >= {"run": "1", "step": "b", "process": "worker"}.items()
    assert library.items() >= {"run": "1", "step": "a", "process": "worker", "logger": "library"}.items()
    assert "run" not in elsewhere
