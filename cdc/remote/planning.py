"""What the opcodes of an answer have the run do next. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cdc.remote import deferring
from cdc.remote.answer import Answer, Op, Planned, Returned, Threw
from cdc.remote.call import App
from cdc.remote.opcodes import timeout_of
from cdc.remote.outbound import shown
from cdc.store.runs import Memo

WAITING = ("sleep", "wait", "invoke")
"""Kinds of steps that only end in the database."""

LAZY = frozenset({"None", "DiscoveryRequest"}) | deferring.OPCODES
"""Opcodes that are no steps."""

FOR_EVER = 365 * 86400.0
"""Seconds that a step waits where its SDK does not say how long."""

_CHECKPOINTS = re.compile(r"js:v?(?!0|1|2|3)\d")
_ASKED = ("type", "url", "format", "method", "body")


def has_ended(recorded: Memo) -> bool:
    """Whether a step has its result: a sleep is over when its time is."""
    return recorded.ended or (recorded.kind == "sleep" and (recorded.due_in or 0.0) <= 0)


def checkpoints(app: App) -> bool:
    """Whether the app's SDK may record steps itself during a call (protocol section 6.1)."""
    return _CHECKPOINTS.match(app.sdk) is not None


def end_in(answer: Answer) -> Returned | Threw | None:
    """The function's own end, where it is told among steps."""
    if not isinstance(answer, Planned):
        return None
    for op in answer.ops:
        if op.op == "RunComplete":
            return Returned(op.data)
        if op.op in ("RunError", "RunFailed"):
            return Threw(op.error or {}, None, answer.no_retry or op.op == "RunFailed", answer.retry_after)
    return None


def before_the_end(answer: Answer) -> list[Op]:
    """Steps that the app executed in the call in which its function ended, and could not tell of earlier."""
    return [op for op in answer.ops if op.op == "StepRun"] if isinstance(answer, Planned) else []


def defers(answer: Answer) -> list[Op]:
    """Runs that it defers, and that it takes back."""
    return [op for op in answer.ops if op.op in deferring.OPCODES] if isinstance(answer, Planned) else []


def threw(op: Op, answer: Planned) -> Threw:
    """What a step that failed has the engine do."""
    return Threw(op.error or {}, None, answer.no_retry or op.op == "StepFailed", answer.retry_after)


def races(op: Op) -> bool:
    """Whether the app wants to be called as soon as one of the steps beside this one has ended."""
    return (op.opts or {}).get("parallelMode") == "race"


def asks_again(answer: Planned) -> bool:
    """Whether the SDK only broke off, and wants to be called again."""
    return any(op.op == "DiscoveryRequest" for op in answer.ops)


def kind_of(op: Op) -> str:
    """The kind under which a step is recorded that the app executes."""
    return "wrap" if (op.opts or {}).get("type") == "step.ai.wrap" else "run"


def given(op: Op) -> Any:
    """What a step's function was given, for those who look at the run."""
    return (op.opts or {}).get("input")


def asked(opts: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a request that we make for a step: nothing of its credentials."""
    kept = {name: opts[name] for name in _ASKED if opts.get(name) is not None}
    return kept | {"url": shown(kept["url"])} if isinstance(kept.get("url"), str) else kept


def payload(opts: Mapping[str, Any]) -> dict[str, Any]:
    """The data that a run is invoked with."""
    given = opts.get("payload")
    data = given.get("data") if isinstance(given, Mapping) else None
    return dict(data) if isinstance(data, Mapping) else {}


def patience(op: Op, now: float) -> float:
    """Seconds that a step waits."""
    found = timeout_of(op, now)
    return FOR_EVER if found is None else found
