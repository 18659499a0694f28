"""A function's flow control, applied to an event: which keys its run has. Pure; evaluated once, when it is accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cdc.authoring.expressions import Expression
from cdc.authoring.options import MAX_PRIORITY

DAY = 86400.0
"""Seconds for which an idempotency key, or the id that a sender gave to an event, counts."""

SHARED = ("env", "account")
"""Scopes of limits that functions share; their gates are named after them (sql/queries/gates/free.sql knows that)."""

EventDict = Mapping[str, Any]
"""An event as expressions see it."""


class Limit(NamedTuple):
    """What a rate limit or an idempotency key allows at its gate; `period` is seconds.

    An idempotency key counts every event, `of_events`; a rate limit the runs that begin, not what is added to one.
    """

    gate: str
    limit: int
    period: float
    of_events: bool


class Filling(NamedTuple):
    """A run that takes further events: a batch up to `most`; a debounced one `replaces` what it has.

    A batch is due `due_in` seconds after its first event, a debounced run after its last, but no later than `within`
    seconds after the first.
    """

    key: str
    replaces: bool
    most: int
    due_in: float
    within: float | None


class Cancelling(NamedTuple):
    """An event that cancels the run: what `cdc_state.waits` keeps of it. `timeout` is seconds."""

    event: str
    path: str | None
    value: str | None
    expression: str | None
    context: dict[str, Any]
    timeout: float | None


class Flow(NamedTuple):
    """What flow control knows of one run: columns of `cdc_state.runs`, and what is decided before there is a run."""

    gates: list[str] | None = None
    turn: str | None = None
    priority: int = 0
    singleton: str | None = None
    cancels_older: bool = False
    limits: tuple[Limit, ...] = ()
    filling: Filling | None = None
    start_within: float | None = None
    finish_in: float | None = None
    cancelling: tuple[Cancelling, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The flow control of one function, compiled."""

    function_id: str
    flow: Mapping[str, Any]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Rules | None:
        """The rules of a stored definition; None when its events start their runs as they come."""
        flow = dict(definition.get("flow") or {})
        batch = flow.get("batch_events") or {}
        if flow.keys() == {"batch_events"} and not any(batch[name] for name in ("timeout", "key", "if_exp")):
            return None  # events of one accept share a run: cdc.events.match does that
        return cls(definition["id"], flow) if flow else None

    def apply(self, event: EventDict) -> Flow:
        """The keys of the run that this event starts."""
        singleton = self.flow.get("singleton")
        timeouts = self.flow.get("timeouts") or {}
        return Flow(
            gates=self._gates(event) or None,
            turn=self._gate("turn", self.flow["order_by"], event) if "order_by" in self.flow else None,
            priority=self._priority(event),
            singleton=_key(singleton["key"], event) if singleton else None,
            cancels_older=singleton is not None and singleton["mode"] == "cancel",
            limits=self._limits(event),
            filling=self._filling(event),
            start_within=timeouts.get("start"),
            finish_in=timeouts.get("finish"),
            cancelling=tuple(_cancelling(cancel, event) for cancel in self.flow.get("cancel_on", ())),
        )

    def _gates(self, event: EventDict) -> list[str]:
        gates = []
        for index, rule in enumerate(self.flow.get("concurrency", ())):
            if rule["scope"] == "fn":
                gates.append(self._gate(f"concurrency/{index}", rule["key"], event))
            else:
                gates.append(f"concurrency/{rule['scope']}//{_key(rule['key'], event)}")
        if throttle := self.flow.get("throttle"):
            gates.append(self._gate("throttle/0", throttle["key"], event))
        return gates

    def _limits(self, event: EventDict) -> tuple[Limit, ...]:
        limits = []
        if rate := self.flow.get("rate_limit"):
            limits.append(Limit(self._gate("rate", rate["key"], event), rate["limit"], rate["period"], of_events=False))
        if key := self.flow.get("idempotency"):
            limits.append(Limit(self._gate("once", key, event), 1, DAY, of_events=True))
        return tuple(limits)

    def _filling(self, event: EventDict) -> Filling | None:
        if debounce := self.flow.get("debounce"):
            return Filling(_key(debounce["key"], event), True, 1, debounce["period"], debounce["timeout"])
        batch = self.flow.get("batch_events")
        if not batch or (batch["if_exp"] and not Expression.compile(batch["if_exp"]).holds(event)):
            return None
        return Filling(_key(batch["key"], event), False, batch["max_size"], batch["timeout"] or 0.0, None)

    def _priority(self, event: EventDict) -> int:
        text = self.flow.get("priority")
        value = Expression.compile(text).value(event) if text else 0
        if isinstance(value, bool) or not isinstance(value, int | float):
            return 0
        return int(max(-MAX_PRIORITY, min(MAX_PRIORITY, value)))

    def _gate(self, rule: str, key: str | None, event: EventDict) -> str:
        return f"{rule}/{self.function_id}/{_key(key, event)}"


class Place(NamedTuple):
    """What a gate allows to runs of one function: `limit` at once, or `limit` starts each `period` seconds.

    `is_common`: each of the function's runs needs this very gate.
    """

    limit: int
    period: float | None = None
    burst: int = 1
    is_common: bool = False


def places(flow: Mapping[str, Any], gates: Sequence[str]) -> dict[str, Place | None]:
    """What a run of a function with this flow control may take at its gates; None where it has no such rule any more.

    A gate that functions share is named without its place among a function's limits: the first such gate of a run
    belongs to the first such limit, the second to the second.
    """
    limits = flow.get("concurrency", ())
    shared = {scope: [rule for rule in limits if rule["scope"] == scope] for scope in SHARED}
    found: dict[str, Place | None] = {}
    for gate in gates:
        rule, which, _ = gate.split("/", 2)
        if rule == "throttle":
            found[gate] = _rate(flow.get("throttle"))
            continue
        own = limits[int(which) :] if which.isdecimal() else shared[which]
        limit = own[0] if own else None
        if which in shared:
            del shared[which][:1]
        found[gate] = limit and Place(limit["limit"], is_common=_is_common(limit["key"]))
    return found


def _rate(throttle: Mapping[str, Any] | None) -> Place | None:
    if throttle is None:
        return None
    return Place(throttle["limit"], throttle["period"], throttle["burst"], _is_common(throttle["key"]))


def _is_common(key: str | None) -> bool:
    return key is None or Expression.compile(key).is_constant


def _key(expression: str | None, event: EventDict) -> str:
    return "" if expression is None else Expression.compile(expression).key(event)


def _cancelling(cancel: Mapping[str, Any], event: EventDict) -> Cancelling:
    if cancel["if_exp"] is None:
        return Cancelling(cancel["event"], None, None, None, {}, cancel["timeout"])
    expression = Expression.compile(cancel["if_exp"], of=("event", "async"))
    path, value = expression.equality(event) or (None, None)
    return Cancelling(cancel["event"], path, value, expression.text, expression.needs(event), cancel["timeout"])
