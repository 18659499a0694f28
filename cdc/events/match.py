"""Which functions an event starts: event x registry -> starts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
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

Changed = Mapping[bytes, Collection[str]]
"""By an update's event id, which of the columns that triggers narrow on changed; of one not in it, any may have."""

NOT_JUDGED: Changed = MappingProxyType({})


class Condition(NamedTuple):
    """What an event must meet besides its name. Without `columns` any change will do."""

    expression: Expression | None
    columns: frozenset[str] = frozenset()

    def holds(self, seen: Callable[[], EventDict], changed: Collection[str] | None) -> bool:
        """Whether it holds for the event that is `seen` by expressions like this."""
        if self.columns and changed is not None and self.columns.isdisjoint(changed):
            return False
        return self.expression is None or self.expression.holds(seen())


@dataclass(frozen=True, slots=True)
class Start:
    """A function that an event starts.

    `batch_size` above 1 lets events of one accept share a run. An event must meet one of the `conditions`, if there
    are any. With `rules` the run is created by them (cdc.events.start), not as it comes.
    """

    function_id: str
    batch_size: int = 1
    paused: bool = False
    conditions: tuple[Condition, ...] = ()
    rules: Rules | None = field(default=None, compare=False)

    def met_by(self, seen: Callable[[], EventDict], changed: Collection[str] | None) -> bool:
        """Whether this event meets one of the conditions, or there are none."""
        return not self.conditions or any(condition.holds(seen, changed) for condition in self.conditions)


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
    narrowed: Mapping[Table, frozenset[str]] = field(default_factory=dict)
    """The columns that any trigger narrows on, by table."""
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
                starts[name] = (*starts.get(name, ()), _narrowed(start, tuple(filter(None, met))))
        named = {table for name in starts if (table := triggers.table_of(name))}
        return cls(version, starts, functions, frozenset(named) | embedded, _columns(starts))

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

    def match(self, events: Sequence[Incoming], new_id: Callable[[], bytes], changed: Changed = NOT_JUDGED) -> Started:
        """What these events start, in the order of the events."""
        started = Started([], [], [])
        starting = {name: found for name in {event.name for event in events} if (found := self.started_by(name))}
        filling: dict[str, NewRun] = {}
        for event in events if starting else ():
            for start in _met_by(event, starting.get(event.name, ()), changed):
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


def _met_by(event: Incoming, starts: tuple[Start, ...], changed: Changed) -> Iterable[Start]:
    """Those of these functions whose conditions the event meets, each once."""
    if all(not start.conditions for start in starts):
        return starts
    seen, columns = cache(event.as_dict), changed.get(event.id)
    met = (start for start in starts if start.met_by(seen, columns))
    return {start.function_id: start for start in met}.values()


def _start(definition: dict[str, Any]) -> Start:
    batch = (definition.get("flow") or {}).get("batch_events")
    size = batch["max_size"] if batch else 1
    return Start(definition["id"], size, bool(definition.get("paused")), (), Rules.of(definition))


def _narrowed(start: Start, conditions: tuple[Condition, ...]) -> Start:
    return Start(start.function_id, start.batch_size, start.paused, conditions, start.rules)


def _columns(starts: Mapping[str, Iterable[Start]]) -> dict[Table, frozenset[str]]:
    """The columns that conditions name, by table."""
    found: dict[Table, frozenset[str]] = {}
    for name, named in starts.items():
        table = triggers.table_of(name)
        columns = frozenset().union(*(condition.columns for start in named for condition in start.conditions))
        if table and columns:
            found[table] = found.get(table, frozenset()) | columns
    return found


def _conditions(definition: dict[str, Any], embedded: frozenset[Table]) -> dict[str, list[Condition | None]]:
    """The condition of each trigger, by the name or pattern it is for; None: every such event."""
    found: dict[str, list[Condition | None]] = {}
    for trigger in map(triggers.from_json, definition["triggers"]):
        if isinstance(trigger, EventTrigger):
            expression = triggers.condition_of(trigger.if_exp, trigger.match)
            narrows = bool(expression or trigger.columns)
            condition = Condition(expression, frozenset(trigger.columns)) if narrows else None
            found.setdefault(trigger.event, []).append(condition)
        elif not isinstance(trigger, Cron):
            for table in embedded:
                for verb in (*triggers.VERBS, triggers.RETRIED):
                    found.setdefault(event_name(*table, verb), []).append(None)
    return found
