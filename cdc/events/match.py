"""Which functions an event starts: event x registry -> runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cdc.authoring import triggers
from cdc.authoring.triggers import EventTrigger, event_name
from cdc.store.events import Incoming, NewRun

Table = tuple[str, str]


_REMEMBERED = 10_000
"""Names of events whose functions are looked up once; applications may send under names without end."""


@dataclass(frozen=True, slots=True)
class Start:
    """A function that an event starts; `batch_size` above 1 lets events of one accept share a run."""

    function_id: str
    batch_size: int


@dataclass(frozen=True, slots=True)
class Registry:
    """The functions in force, by the name or pattern of the events that start them."""

    version: int
    starts: dict[str, tuple[Start, ...]]
    tables: frozenset[Table]
    _found: dict[str, tuple[Start, ...]] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, version: int, definitions: Iterable[dict[str, Any]], embedded: frozenset[Table]) -> Registry:
        """The registry of these definitions, where `embedded` are the tables with a declared embedding."""
        starts: dict[str, tuple[Start, ...]] = {}
        for definition in definitions:
            start = Start(definition["id"], definition.get("batch_size") or 1)
            for name in sorted(set(_names(definition, embedded))):
                starts[name] = (*starts.get(name, ()), start)
        named = {table for name in starts if (table := triggers.table_of(name))}
        return cls(version, starts, frozenset(named) | embedded)

    def started_by(self, name: str) -> tuple[Start, ...]:
        """The functions that an event of this name starts, each once, in the order of their registration."""
        found = self._found.get(name)
        if found is None:
            matching = {start for key in (name, *triggers.patterns_of(name)) for start in self.starts.get(key, ())}
            order = [start for starts in self.starts.values() for start in starts]
            found = tuple(sorted(matching, key=order.index))
            if len(self._found) < _REMEMBERED:
                self._found[name] = found
        return found

    def runs(self, events: Sequence[Incoming], new_id: Callable[[], bytes]) -> list[NewRun]:
        """The runs that these events start, in the order of the events."""
        runs: list[NewRun] = []
        filling: dict[str, NewRun] = {}
        for event in events:
            for start in self.started_by(event.name):
                run = filling.get(start.function_id)
                if run is None or len(run.event_ids) >= start.batch_size:
                    run = filling[start.function_id] = NewRun(new_id(), start.function_id, [])
                    runs.append(run)
                run.event_ids.append(event.id)
        return runs


def _names(definition: dict[str, Any], embedded: frozenset[Table]) -> Iterable[str]:
    for trigger in map(triggers.from_json, definition["triggers"]):
        if isinstance(trigger, EventTrigger):
            yield trigger.event
        else:
            yield from (event_name(*table, verb) for table in embedded for verb in triggers.VERBS)
