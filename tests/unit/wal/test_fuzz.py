"""Mutated frames: a share of what `python -m tests.fuzz` throws."""

from __future__ import annotations

import os

from tests.fuzz import Fuzz

FRAMES = int(os.environ.get("FUZZ_FRAMES", "20000"))


def test_whatever_a_server_sends_is_read_or_a_protocol_error() -> None:
    outcome = Fuzz(seed=4).throw(FRAMES)
    assert outcome.read > FRAMES // 4
    assert outcome.refused > FRAMES // 10
    assert outcome.items["Change"] > FRAMES // 20
    assert outcome.slowest < 5
