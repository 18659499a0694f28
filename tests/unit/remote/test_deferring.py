"""What is kept of runs that are deferred, and what SDKs are told of them."""

from __future__ import annotations

from typing import Any

from cdc.remote.answer import Op
from cdc.remote.deferring import LARGEST, MOST, Defers
from cdc.remote.memos import hashed
from cdc.store.runs import Memo


def defers(id: str, function: Any = "app-later", **given: Any) -> Op:
    return Op("DeferAdd", hashed(id), id, opts={"fn_slug": function, "input": given})


def aborts(id: str) -> Op:
    return Op("DeferAbort", hashed(f"{hashed(id)}:abort"), "#x", opts={"target_hashed_id": hashed(id)})


def test_what_is_written_first_stays_and_what_is_taken_back_is_not_abortable_again() -> None:
    known = Defers()
    kept, refused = known.take([defers("a", n=1), defers("b"), defers("a", n=2), aborts("b"), aborts("b")])
    assert [(each.key, each.kind) for each in kept] == [
        ("defer(a)", "defer"),
        ("defer(b)", "defer"),
        ("abort(b)", "abort"),
    ]
    assert kept[0].data == '{"function":"app-later","input":{"n":1}}'
    assert refused == []
    assert known.told == {hashed("a"): {"abortable": True}, hashed("b"): {"abortable": False}}
    assert known.take([defers("b"), defers("a"), aborts("b")]) == ([], [])


def test_what_is_taken_back_before_it_was_told_of_leaves_no_trace() -> None:
    known = Defers()
    assert known.take([aborts("a")]) == ([], [])
    assert known.told == {}


def test_memos_of_steps_are_no_deferred_runs_and_those_of_deferred_runs_are_known_once() -> None:
    recorded = {
        "defer(mine)": Memo("run", 1, 1, None, True, None),
        "defer(#" + "0" * 40 + ")": Memo("defer", 1, {"function": "f", "input": {}}, None, True, None),
    }
    known = Defers()
    for _ in range(2):
        known.know(recorded)
    assert known.told == {"0" * 40: {"abortable": True}}


def test_more_than_so_many_or_so_much_or_what_is_none_is_refused_with_its_reason() -> None:
    known = Defers({f"defer({number})": 1 for number in range(MOST - 1)})
    odd = [defers("none", None), defers("empty", ""), Op("DeferAdd", hashed("odd"), "odd")]
    large, last, more = defers("large", text="x" * LARGEST), defers("last"), defers("more")
    kept, refused = known.take([*odd, large, last, more])
    assert [each.key for each in kept] == ["defer(last)"]
    assert [each.step for each in refused] == ["none", "empty", "odd", "large", "more"]
    assert str(MOST) in refused[-1].reason
