"""Starts runs whose functions have flow control: limits, singletons, batches, debounce and turns are decided here.

Everything happens in the caller's transaction, with the gates of all keys locked first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cdc.events.match import Start
from cdc.events.rules import DAY, Flow, Limit
from cdc.store import gates, starts, waits
from cdc.store.connect import Connection
from cdc.store.events import Incoming
from cdc.store.gates import Gate
from cdc.store.starts import Key, OpenRun, uuid
from cdc.store.waits import WaitRecord

PAUSED = "paused"
"""Where runs of a paused function stand."""


class Wanted(NamedTuple):
    """A run that an event asks for. `invoker` is the run and step that wait for its result.

    A run that `replays` another has all of its events, of which `others` are the ids after the first.
    """

    start: Start
    event: Incoming
    invoker: tuple[str, str] | None = None
    replays: str | None = None
    others: Sequence[str] = ()


@dataclass(slots=True)
class Decided:
    """What becomes of all that was wanted."""

    runs: list[dict[str, Any]] = field(default_factory=list)
    filled: dict[str, dict[str, Any]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    waits: list[WaitRecord] = field(default_factory=list)
    refused: list[Wanted] = field(default_factory=list)
    begun: dict[str, bytes] = field(default_factory=dict)
    """Ids of the new runs, and the event that each began with."""


async def unrepeated(conn: Connection, incoming: Sequence[Incoming]) -> list[Incoming]:
    """The events without those whose sender's id came before within 24 hours: these start nothing again."""
    named = {f"event//{event.extra.given_id}": None for event in incoming if event.extra and event.extra.given_id}
    if not named:
        return list(incoming)
    locked = await gates.lock(conn, named)
    fresh = []
    for event in incoming:
        given = event.extra.given_id if event.extra else None
        if given is None or _counted(locked, (Limit(f"event//{given}", 1, DAY),)):
            fresh.append(event)
    await gates.write(conn, list(locked.values()))
    return fresh


async def create(conn: Connection, wanted: Sequence[Wanted], new_id: Callable[[], bytes]) -> Decided:
    """Create the runs that flow control allows. Those in `cancelled` are still to be cancelled by the caller."""
    if not wanted:
        return Decided()
    flows = [(want, _flow(want)) for want in wanted]
    locked = await gates.lock(conn, {gate for want, flow in flows for gate in _gates(want, flow)})
    singles = {(want.start.function_id, flow.singleton) for want, flow in flows if flow.singleton is not None}
    fills = {(want.start.function_id, flow.filling.key) for want, flow in flows if flow.filling}
    deciding = _Deciding(
        locked,
        await starts.singletons(conn, singles) if singles else {},
        await starts.filling(conn, fills) if fills else {},
        new_id,
    )
    for want, flow in flows:
        deciding.take(want, flow)
    decided = deciding.decided
    await starts.fill(conn, list(decided.filled.values()))
    await starts.insert(conn, decided.runs)
    await gates.write(conn, list(locked.values()))
    if decided.waits:
        await waits.register(conn, decided.waits)
    return decided


def _flow(want: Wanted) -> Flow:
    """Its flow control. A replay is wanted although its events counted before, and has all that a batch would gather;
    it waits for places and turns like any other run, and cancels none.
    """
    flow = want.start.rules.apply(want.event.as_dict()) if want.start.rules else Flow()
    return flow if want.replays is None else flow._replace(limits=(), filling=None, cancels_older=False)


def _gates(want: Wanted, flow: Flow) -> list[str]:
    names = [limit.gate for limit in flow.limits]
    if flow.singleton is not None:
        names.append(f"single/{want.start.function_id}/{flow.singleton}")
    if flow.filling:
        names.append(f"fill/{want.start.function_id}/{flow.filling.key}")
    return names


class _Deciding:
    """Goes through what is wanted, in order."""

    def __init__(
        self,
        locked: dict[str, Gate],
        active: dict[Key, list[str]],
        filling: dict[Key, OpenRun],
        new_id: Callable[[], bytes],
    ) -> None:
        self._locked = locked
        self._active = active
        self._filling = filling
        self._new_id = new_id
        self._runs: dict[str, dict[str, Any]] = {}
        self.decided = Decided()

    def take(self, want: Wanted, flow: Flow) -> None:
        """Decide on one: start it, add it to a run that takes events, or refuse it."""
        if not self._is_alone(want, flow) or not _counted(self._locked, flow.limits):
            self.decided.refused.append(want)
        elif not self._fills(want, flow):
            self._begin(want, flow)

    def _is_alone(self, want: Wanted, flow: Flow) -> bool:
        """Whether the singleton lets it start; with mode cancel, what runs is to be cancelled."""
        if flow.singleton is None:
            return True
        active = self._active.setdefault((want.start.function_id, flow.singleton), [])
        if active and flow.cancels_older:
            self.decided.cancelled.extend(active)
            active.clear()
        return not active

    def _fills(self, want: Wanted, flow: Flow) -> bool:
        """Whether a run that takes events has room for this one."""
        if flow.filling is None:
            return False
        key = (want.start.function_id, flow.filling.key)
        run = self._filling.get(key)
        if run is None:
            return False
        replaces = flow.filling.replaces
        events = 1 if replaces else run.events + 1
        full = not replaces and events >= flow.filling.most
        due_in = _due_in(flow, run.age) if replaces else (0.0 if full else None)
        self._add(run.id, uuid(want.event.id), replaces=replaces, due_in=due_in, full=full)
        self._filling[key] = OpenRun(run.id, events, run.age)
        if full:
            del self._filling[key]
        return True

    def _add(self, run_id: str, event_id: str, *, replaces: bool, due_in: float | None, full: bool) -> None:
        if new := self._runs.get(run_id):
            new["event_ids"] = [event_id] if replaces else [*new["event_ids"], event_id]
            new["due_in"] = new["due_in"] if due_in is None else due_in
            new["filling"] = None if full else new["filling"]
            return
        filled = self.decided.filled.setdefault(
            run_id, {"id": run_id, "event_ids": [], "replaces": replaces, "due_in": None, "full": False}
        )
        filled["event_ids"] = [event_id] if replaces else [*filled["event_ids"], event_id]
        filled["due_in"] = filled["due_in"] if due_in is None else due_in
        filled["full"] = full

    def _begin(self, want: Wanted, flow: Flow) -> None:
        function_id, filling = want.start.function_id, flow.filling
        id_ = uuid(self._new_id())
        is_open = filling is not None and (filling.replaces or filling.most > 1)
        run = {
            "id": id_,
            "function_id": function_id,
            "event_ids": [uuid(want.event.id), *want.others],
            "due_in": _due_in(flow, 0.0),
            "ts": want.event.ts / 1e6 if want.event.is_scheduled else 0.0,
            "priority": flow.priority,
            "gates": flow.gates,
            "turn": flow.turn,
            "held_at": flow.turn or (PAUSED if want.start.paused else None),
            "filling": filling.key if filling and is_open else None,
            "singleton": flow.singleton,
            "start_within": flow.start_within,
            "finish_in": flow.finish_in,
            "invoker": want.invoker[0] if want.invoker else None,
            "invoker_step": want.invoker[1] if want.invoker else None,
            "replays": want.replays,
        }
        self.decided.runs.append(run)
        self.decided.begun[id_] = want.event.id
        self._runs[id_] = run
        if filling and is_open:
            self._filling[function_id, filling.key] = OpenRun(id_, 1, 0.0)
        if flow.singleton is not None:
            self._active[function_id, flow.singleton].append(id_)
        for number, cancelling in enumerate(flow.cancelling):
            self.decided.waits.append(WaitRecord(id_, str(number), True, *cancelling))


def _due_in(flow: Flow, age: float) -> float:
    """Seconds from now until a run that is `age` seconds old is due."""
    filling = flow.filling
    if filling is None or not (filling.replaces or filling.most > 1):
        return 0.0
    return filling.due_in if filling.within is None else max(0.0, min(filling.due_in, filling.within - age))


def _counted(locked: dict[str, Gate], limits: Sequence[Limit]) -> bool:
    """Count one more at each of these limits, if all of them allow it."""
    for gate, limit, period in limits:
        counter = locked[gate]
        if counter.free_at <= counter.now:
            counter.taken, counter.free_at = 0, counter.now + period
        if counter.taken >= limit:
            return False
    for each in limits:
        locked[each.gate].taken += 1
    return True
