"""What commands print of rows, events and errors moves no cursor and makes no line of its own."""

from __future__ import annotations

import pytest

from cdc.cli import showing

HOSTILE = "a\x1b[2Jb\rc\u202ed\u2028e\x9bf"


def test_texts_of_others_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    made = showing.table("name", "error", "start")
    made.add_row("x", showing.error({"name": "ValueError", "message": f"{HOSTILE}\nforged"}), showing.start_of(HOSTILE))
    showing.show(f"data {HOSTILE}\n  on two lines", made)
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))
    assert "  on two lines\n" in out
    assert r"a\x1b[2Jb\rc\u202ed\u2028e\x9bf\nforged" in out
