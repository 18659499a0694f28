"""What an app says of a run that it executes by itself: steps, and how it goes on. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple

from cdc.remote import deferring, planning
from cdc.remote.answer import Op
from cdc.remote.opcodes import NoOpcode, opcodes
from cdc.store.json import document
from cdc.store.reported import Told

_ENDS = ("RunComplete", "SyncRunComplete")


class Next(Enum):
    """Who goes on: the app, or we; or it was the end."""

    APP = auto()
    HERE = auto()
    NOBODY = auto()


class Said(NamedTuple):
    """Steps that ended, those that were `tried` in vain, and how often the handler itself failed. `output` is JSON."""

    steps: list[Told]
    tried: list[Told]
    next: Next
    failures: int = 0
    output: str = "null"

    @property
    def size(self) -> int:
        """Characters of JSON of the largest result."""
        return max([len(each.data or each.error or "") for each in self.steps] + [len(self.output)])


def said(value: Any, now: float, told: Callable[[Op], Told]) -> Said:
    """What a list of opcodes says; `told` makes a record of a step that ended.

    What it would wait for or plan is not looked at: called by us, it says so again.

    Raises:
        NoOpcode: something in it is none, or is not served.
    """
    ops = opcodes(value or [], now)
    if any(op.op in deferring.OPCODES for op in ops):
        raise NoOpcode("An endpoint cannot defer a run: send an event instead.")
    steps: dict[str, Told] = {}
    tried: dict[str, Told] = {}
    for op in ops:
        if op.op in ("StepRun", "StepFailed"):
            steps.setdefault(op.key, told(op))
        elif op.op == "StepError":
            error = document(op.error or {"name": "Error", "message": ""})
            tried.setdefault(op.key, Told(op.key, planning.kind_of(op), error=error, took=op.took))
    failures = sum(op.op == "RunError" for op in ops)
    ended = [op for op in ops if op.op in _ENDS]
    if ended:
        return Said([*steps.values()], [], Next.NOBODY, 0, document(ended[0].data))
    goes_on = all(op.op in ("StepRun", "None") for op in ops)
    return Said([*steps.values()], [*tried.values()], Next.APP if goes_on else Next.HERE, failures)
