"""Starts runs whose functions have flow control: limits, singletons, batches, debounce and turns are decided here.

Everything happens in the caller's transaction, with the gates of all keys locked first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cdc.authoring.values import shortened
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
    renewed: set[str] = field(default_factory=set)
    """Debounced runs of before that another event has now: other events cancel them."""
    refused: list[Wanted] = field(default_factory=list)
    begun: dict[str, bytes] = field(default_factory=dict)
    """Ids of the new runs, and the event that each began with."""


async def unrepeated(conn: Connection, incoming: Sequence[Incoming]) -> list[Incoming]:
    """The events without those whose sender's id came before within 24 hours: these start nothing again."""
    named = {
        event.id: f"event//{shortened(event.extra.given_id)}"
        for event in incoming
        if event.extra and event.extra.given_id
    }
    if not named:
        return list(incoming)
    locked = await gates.lock(conn, named.values())
    fresh = []
    for event in incoming:
        limits = (Limit(named[event.id], 1, DAY, of_events=True),) if event.id in named else ()
        if _allowed(locked, limits):
            _count(locked, limits)
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
    if decided.renewed:
        await waits.forget(conn, list(decided.renewed))
    if decided.waits:
        await waits.register(conn, decided.waits)
    return decided


def _flow(want: Wanted) -> Flow:
    """Its flow control.

    A run that is invoked takes no other events, and its event goes into no other run: somebody waits for it. A replay
    is wanted although its events counted before, and has all that a batch would gather; it waits for places and turns
    like any other run, and cancels none.
    """
    flow = want.start.rules.apply(want.event.as_dict()) if want.start.rules else Flow()
    if want.replays is not None:
        return flow._replace(limits=(), filling=None, cancels_older=False)
    return flow._replace(filling=None) if want.invoker else flow


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
        run = self._filling.get((want.start.function_id, flow.filling.key)) if flow.filling else None
        limits = [limit for limit in flow.limits if limit.of_events or run is None]
        if not _allowed(self._locked, limits) or (run is None and not self._is_alone(want, flow)):
            self.decided.refused.append(want)
            return
        _count(self._locked, limits)
        if run is None:
            self._begin(want, flow)
        elif flow.filling and flow.filling.replaces:
            self._replace(run, want, flow)
        else:
            self._add(run, want, flow)

    def _is_alone(self, want: Wanted, flow: Flow) -> bool:
        """Whether the singleton lets it start; with mode cancel, what runs is to be cancelled."""
        if flow.singleton is None:
            return True
        active = self._active.setdefault((want.start.function_id, flow.singleton), [])
        if active and flow.cancels_older:
            self.decided.cancelled.extend(active)
            active.clear()
        return not active

    def _replace(self, run: OpenRun, want: Wanted, flow: Flow) -> None:
        """Give a debounced run this event in place of the one it has, with all that flow control makes of it."""
        filled = self._filled(run, replaces=True)
        filled["event_ids"] = [uuid(want.event.id)]
        filled["due_in"] = _due_in(flow, run.age)
        filled |= _columns(want, flow)
        if run.id not in self._runs:
            self.decided.renewed.add(run.id)
        self.decided.waits = [wait for wait in self.decided.waits if wait.run_id != run.id]
        self._cancelled_by(run.id, want, flow)

    def _add(self, run: OpenRun, want: Wanted, flow: Flow) -> None:
        """Add an event to a batch, which is due when that fills it."""
        key = (want.start.function_id, flow.filling.key if flow.filling else "")
        filled = self._filled(run, replaces=False)
        filled["event_ids"] = [*filled["event_ids"], uuid(want.event.id)]
        self._filling[key] = run._replace(events=run.events + 1)
        if flow.filling and run.events + 1 >= flow.filling.most:
            filled |= {"due_in": 0.0, "full": True, "filling": None}
            del self._filling[key]

    def _filled(self, run: OpenRun, *, replaces: bool) -> dict[str, Any]:
        """The columns of a run that takes an event: of a new one, or of what is added to one that is there."""
        if run.id in self._runs:
            return self._runs[run.id]
        unfilled = {"id": run.id, "event_ids": [], "replaces": replaces, "due_in": None, "full": False}
        return self.decided.filled.setdefault(run.id, {**unfilled, "priority": 0, "ts": 0.0})

    def _begin(self, want: Wanted, flow: Flow) -> None:
        function_id, filling = want.start.function_id, flow.filling
        id_ = uuid(self._new_id())
        is_open = filling is not None and (filling.replaces or filling.most > 1)
        run = {
            "id": id_,
            "function_id": function_id,
            "event_ids": [uuid(want.event.id), *want.others],
            "due_in": _due_in(flow, 0.0),
            **_columns(want, flow),
            "turn": flow.turn,
            "held_at": flow.turn or (PAUSED if want.start.paused else None),
            "filling": filling.key if filling and is_open else None,
            "singleton": flow.singleton,
            "finish_in": flow.finish_in,
            "invoker": want.invoker[0] if want.invoker else None,
            "invoker_step": want.invoker[1] if want.invoker else None,
            "replays": want.replays,
        }
        self.decided.runs.append(run)
        self._runs[id_] = run
        if filling and is_open:
            self._filling[function_id, filling.key] = OpenRun(id_, 1, 0.0)
        if flow.singleton is not None:
            self._active[function_id, flow.singleton].append(id_)
        self._cancelled_by(id_, want, flow)

    def _cancelled_by(self, run_id: str, want: Wanted, flow: Flow) -> None:
        self.decided.begun[run_id] = want.event.id
        for number, cancelling in enumerate(flow.cancelling):
            self.decided.waits.append(WaitRecord(run_id, str(number), True, *cancelling))


def _columns(want: Wanted, flow: Flow) -> dict[str, Any]:
    """What a run has of its event, of a debounced one: of its last."""
    return {
        "ts": want.event.ts / 1e6 if want.event.is_scheduled else 0.0,
        "priority": flow.priority,
        "gates": flow.gates,
        "start_within": flow.start_within,
    }


def _due_in(flow: Flow, age: float) -> float:
    """Seconds from now until a run that is `age` seconds old is due."""
    filling = flow.filling
    if filling is None or not (filling.replaces or filling.most > 1):
        return 0.0
    return filling.due_in if filling.within is None else max(0.0, min(filling.due_in, filling.within - age))


def _allowed(locked: dict[str, Gate], limits: Sequence[Limit]) -> bool:
    """Whether all of these limits allow one more."""
    for limit in limits:
        counter = locked[limit.gate]
        if counter.free_at <= counter.now:
            counter.taken, counter.free_at = 0, counter.now + limit.period
    return all(locked[limit.gate].taken < limit.limit for limit in limits)


def _count(locked: dict[str, Gate], limits: Sequence[Limit]) -> None:
    """Count one more at each of these limits."""
    for limit in limits:
        locked[limit.gate].taken += 1
