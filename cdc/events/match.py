"""Which functions an event starts: event x registry -> starts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from cdc.authoring import triggers
from cdc.authoring.cron import Cron
from cdc.authoring.expressions import Expression
from cdc.authoring.triggers import EventTrigger, event_name
from cdc.events.rules import EventDict, Rules
from cdc.store.events import Incoming, NewRun

Table = tuple[str, str]


_REMEMBERED = 10_000
"""Names of events whose functions are looked up once; applications may send under names without end."""


ANY = ""
"""No event has this name: what stands under it is started by all."""


@dataclass(frozen=True, slots=True)
class Start:
    """A function that an event starts.

    `batch_size` above 1 lets events of one accept share a run. An event must meet one of the `conditions`, if there
    are any. With `rules` the run is created by them (cdc.events.start), not as it comes.
    """

    function_id: str
    batch_size: int = 1
    paused: bool = False
    conditions: tuple[Expression, ...] = ()
    rules: Rules | None = field(default=None, compare=False)

    def met_by(self, event: EventDict) -> bool:
        """Whether this event meets one of the conditions."""
        return any(condition.holds(event) for condition in self.conditions)


class Started(NamedTuple):
    """What the events of one accept start: runs as they come, and what the rules of others have to decide on.

    `paused` are those of the runs that must not start yet.
    """

    runs: list[NewRun]
    ruled: list[tuple[Start, Incoming]]
    paused: list[NewRun]


@dataclass(frozen=True, slots=True)
class Registry:
    """The functions in force, by the name or pattern of the events that start them."""

    version: int
    starts: dict[str, tuple[Start, ...]]
    functions: dict[str, Start]
    tables: frozenset[Table]
    _found: dict[str, tuple[Start, ...]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, version: int, definitions: Iterable[dict[str, Any]], embedded: frozenset[Table]) -> Registry:
        """The registry of these definitions, where `embedded` are the tables with a declared embedding."""
        starts: dict[str, tuple[Start, ...]] = {}
        functions: dict[str, Start] = {}
        for definition in definitions:
            start = functions[definition["id"]] = _start(definition)
            conditions = _conditions(definition, embedded)
            for name in sorted(conditions):
                met = tuple(dict.fromkeys(conditions[name])) if all(conditions[name]) else ()
                expressions = tuple(expression for expression in met if expression is not None)
                starts[name] = (*starts.get(name, ()), _narrowed(start, expressions))
        named = {table for name in starts if (table := triggers.table_of(name))}
        return cls(version, starts, functions, frozenset(named) | embedded)

    def starting(self, function_id: str) -> Registry:
        """The same, with every event starting this one function; none while it is not registered."""
        start = self.functions.get(function_id)
        return replace(self, starts={ANY: (start,)} if start else {}, _found={})

    def started_by(self, name: str) -> tuple[Start, ...]:
        """The functions that an event of this name may start, in the order of their registration.

        A function stands there once, unless its triggers by name and by pattern have conditions of their own.
        """
        found = self._found.get(name)
        if found is None:
            matching = {start for key in (ANY, name, *triggers.patterns_of(name)) for start in self.starts.get(key, ())}
            order = [start for starts in self.starts.values() for start in starts]
            found = tuple(sorted(matching, key=order.index))
            if len(self._found) < _REMEMBERED:
                self._found[name] = found
        return found

    def match(self, events: Sequence[Incoming], new_id: Callable[[], bytes]) -> Started:
        """What these events start, in the order of the events."""
        started = Started([], [], [])
        filling: dict[str, NewRun] = {}
        for event in events:
            for start in self._met_by(event):
                if start.rules or event.is_scheduled:
                    started.ruled.append((start, event))
                    continue
                run = filling.get(start.function_id)
                if run is None or len(run.event_ids) >= start.batch_size:
                    run = filling[start.function_id] = NewRun(new_id(), start.function_id, [])
                    started.runs.append(run)
                    if start.paused:
                        started.paused.append(run)
                run.event_ids.append(event.id)
        return started

    def _met_by(self, event: Incoming) -> Iterable[Start]:
        """The functions that this event starts, each once."""
        found = self.started_by(event.name)
        if not any(start.conditions for start in found):
            return found
        seen = event.as_dict()
        met = (start for start in found if not start.conditions or start.met_by(seen))
        return {start.function_id: start for start in met}.values()


def _start(definition: dict[str, Any]) -> Start:
    batch = (definition.get("flow") or {}).get("batch_events")
    size = batch["max_size"] if batch else 1
    return Start(definition["id"], size, bool(definition.get("paused")), (), Rules.of(definition))


def _narrowed(start: Start, conditions: tuple[Expression, ...]) -> Start:
    return Start(start.function_id, start.batch_size, start.paused, conditions, start.rules)


def _conditions(definition: dict[str, Any], embedded: frozenset[Table]) -> dict[str, list[Expression | None]]:
    """The condition of each trigger, by the name or pattern it is for; None: every such event."""
    found: dict[str, list[Expression | None]] = {}
    for trigger in map(triggers.from_json, definition["triggers"]):
        if isinstance(trigger, EventTrigger):
            condition = triggers.condition_of(trigger.if_exp, trigger.match)
            found.setdefault(trigger.event, []).append(condition)
        elif not isinstance(trigger, Cron):
            for table in embedded:
                for verb in triggers.VERBS:
                    found.setdefault(event_name(*table, verb), []).append(None)
    return found
