"""Runs that an app's functions defer until they end, and take back before (protocol section 4.4, DeferAdd). Pure.

They are no steps: they come beside others, are kept at once, and never sent back but as `defers` of later calls. None
makes its run fail: what cannot be kept is refused and told of in the log, as Inngest's servers do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cdc.remote.answer import Op
from cdc.remote.memos import hashed
from cdc.store.deferred import ABORT, DEFER, KINDS, key, step_of, taken_back_by
from cdc.store.json import document
from cdc.store.runs import Memo

MOST = 20
"""Runs that one run may defer, with those that it takes back."""

LARGEST = 4 * 1024 * 1024
"""Characters of JSON of what they are given, together."""

OPCODES = frozenset({"DeferAdd", "DeferAbort"})


class Kept(NamedTuple):
    """What is to be recorded; `data` is JSON."""

    key: str
    kind: str
    data: str


class Refused(NamedTuple):
    """A run that is not deferred, and why."""

    step: str
    reason: str


class Defers:
    """What one run has deferred so far: keys with the characters of JSON that they have."""

    def __init__(self, known: Mapping[str, int] = {}) -> None:
        self._sizes = dict(known)
        self._keys = {hashed(step_of(key)): key for key in known if key.startswith(DEFER)}

    @property
    def told(self) -> dict[str, dict[str, bool]]:
        """As SDKs are told of it: by the hash of the id, and whether it can be taken back still."""
        return {name: {"abortable": taken_back_by(of) not in self._sizes} for name, of in self._keys.items()}

    def know(self, memos: Mapping[str, Memo]) -> None:
        """Take note of what is recorded of a run, where it is of those that it deferred."""
        for key_, memo in memos.items():
            if memo.kind in KINDS and key_ not in self._sizes:
                self._note(Kept(key_, memo.kind, document(memo.data)))

    def take(self, ops: Sequence[Op]) -> tuple[list[Kept], list[Refused]]:
        """What is to be recorded of these opcodes, and what is refused; what is known already is neither."""
        kept: list[Kept] = []
        refused: list[Refused] = []
        for op in ops:
            found = self._added(op) if op.op == "DeferAdd" else self._taken_back(op)
            if isinstance(found, Kept):
                self._note(found)
                kept.append(found)
            elif found is not None:
                refused.append(found)
        return kept, refused

    def _note(self, kept: Kept) -> None:
        self._sizes[kept.key] = len(kept.data)
        if kept.kind == DEFER:
            self._keys[hashed(step_of(kept.key))] = kept.key

    def _added(self, op: Op) -> Kept | Refused | None:
        if op.id in self._keys:
            return None
        opts = op.opts or {}
        function, given = opts.get("fn_slug"), opts.get("input")
        if not isinstance(function, str) or not function or not isinstance(given, Mapping | None):
            return Refused(op.key, "it names no function, or its data is no object")
        if len(self._keys) >= MOST:
            return Refused(op.key, f"a run defers at most {MOST} others")
        data = document({"function": function, "input": given or {}})
        if len(data) + sum(self._sizes.values()) > LARGEST:
            return Refused(op.key, f"what a run gives to those that it defers has at most {LARGEST:,} characters")
        return Kept(key(DEFER, op.key), DEFER, data)

    def _taken_back(self, op: Op) -> Kept | None:
        """Nothing where there is nothing to be taken back: the SDK did so before it told of it."""
        added = self._keys.get(str((op.opts or {}).get("target_hashed_id")))
        if added is None or taken_back_by(added) in self._sizes:
            return None
        return Kept(taken_back_by(added), ABORT, "null")
