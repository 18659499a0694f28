"""Who finds a place: properties of the pure decision, over any functions, gates and candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cdc import Concurrency, Throttle, function
from cdc.authoring.function import FlowControl
from cdc.engine.admission import Flows, admit, recall
from cdc.events.rules import Rules
from cdc.store.gates import Gate
from cdc.store.runs import Candidate, Standing

NOW = 1_800_000_000.0


def stored(**options: object) -> dict[str, object]:
    flow: FlowControl = {**options}  # type: ignore[typeddict-item]

    @function("f", on="app/a", **flow)
    async def handler(ctx: object) -> None: ...

    return handler.definition()


def candidate(
    name: int, definition: dict[str, object], data: Mapping[str, object], *, is_new: bool = True
) -> Candidate:
    rules = Rules.of(definition)
    assert rules is not None
    flow = rules.apply({"name": "app/a", "data": data, "id": "1", "ts": 0, "user": {}, "v": None})
    return Candidate(f"{name:08}", "f", flow.gates or [], is_new)


def gates_for(runs: list[Candidate], taken: Mapping[str, int] = {}) -> dict[str, Gate]:
    names = {name for run in runs for name in run.gates}
    return {name: Gate(name, taken.get(name, 0), 0.0, 0.0, NOW) for name in names}


limits = st.integers(1, 4)
limiting = st.one_of(
    st.builds(lambda limit: (Concurrency(limit),), limits),
    st.builds(lambda limit: (Concurrency(limit, key="event.data.user"),), limits),
    st.builds(lambda a, b: (Concurrency(a, key="event.data.user"), Concurrency(b)), limits, limits),
    st.builds(
        lambda a, b: (Concurrency(a, key="event.data.region"), Concurrency(b, key="event.data.user")), limits, limits
    ),
    st.builds(lambda a, b: (Concurrency(a), Concurrency(b, key="'all'", scope="env")), limits, limits),
)
wanted = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=30)


@given(limiting, wanted, st.data())
def test_never_over_a_limit_no_place_left_empty_and_in_order(
    limited: tuple[Concurrency, ...], asked: list[tuple[str, str]], data: st.DataObject
) -> None:
    definition = stored(concurrency=limited)
    flows: Flows = {"f": definition["flow"]}  # type: ignore[dict-item]
    runs = [candidate(n, definition, {"user": user, "region": region}) for n, (user, region) in enumerate(asked)]
    gates = gates_for(runs)
    most = {name: limited[i].limit for run in runs for i, name in enumerate(run.gates)}
    for gate in gates.values():
        gate.taken = data.draw(st.integers(0, most[gate.name]))
    before = {name: gate.taken for name, gate in gates.items()}

    admission = admit(runs, gates, flows)

    admitted = [run for run in runs if run.id in admission.admitted]
    assert [run.id for run in admitted] == admission.admitted
    assert {*admission.admitted, *admission.held} == {run.id for run in runs}
    taken = Counter(name for run in admitted for name in run.gates)
    for name, gate in gates.items():
        assert gate.taken == before[name] + taken[name] <= most[name]
    for run in runs:
        if run.id in admission.held:
            assert gates[admission.held[run.id]].taken == most[admission.held[run.id]], "it stands at a full gate"
            assert admission.held[run.id] in run.gates
    left = Counter(before)
    for run in runs:  # first come, first served: each is let in as soon as all its gates have room
        fits = all(left[name] < most[name] for name in run.gates)
        assert fits == (run.id in admission.admitted)
        left.update(run.gates if fits else ())


@given(limiting, wanted)
def test_where_a_gate_has_room_others_are_called_unless_another_gate_stops_them_all(
    limited: tuple[Concurrency, ...], asked: list[tuple[str, str]]
) -> None:
    definition = stored(concurrency=limited)
    flows: Flows = {"f": definition["flow"]}  # type: ignore[dict-item]
    runs = [candidate(n, definition, {"user": user, "region": region}) for n, (user, region) in enumerate(asked)]
    gates = gates_for(runs)
    most = {name: limited[i].limit for run in runs for i, name in enumerate(run.gates)}
    common = {name for run in runs for i, name in enumerate(run.gates) if limited[i].key in (None, "'all'")}

    calls = admit(runs, gates, flows).calls

    room = {(name, "f"): most[name] - gate.taken for name, gate in gates.items() if gate.taken < most[name]}
    stops = any(gates[name].taken == most[name] for name in common)
    assert calls == ({} if stops else room)


rates = st.builds(
    lambda limit, period, burst: Throttle(limit, period, burst),
    st.integers(1, 20),
    st.integers(1, 60),
    st.integers(1, 5),
)


@given(rates, st.lists(st.floats(0.0, 20.0, allow_subnormal=False), min_size=1, max_size=80))
def test_a_throttle_lets_no_more_than_limit_and_burst_through_in_any_period(
    rate: Throttle, pauses: list[float]
) -> None:
    definition = stored(throttle=rate)
    flows: Flows = {"f": definition["flow"]}  # type: ignore[dict-item]
    period = float(str(rate.period))
    gate = gates_for([candidate(0, definition, {})])
    (name,) = gate
    waiting: dict[str, float] = {}  # runs in the queue, by the moment when they are due
    standing: list[str] = []
    starts: list[float] = []
    now = NOW
    for number, pause in enumerate(pauses):
        now += pause
        waiting[f"{number:08}"] = now
        for _ in range(200):  # as a worker does: claim, hold, call, until nothing is due
            due = [
                Candidate(id_, "f", [name], True)
                for id_, at in sorted(waiting.items(), key=lambda i: i[1])
                if at <= now
            ]
            if not due:
                break
            gate[name] = replace(gate[name], now=now)
            admission = admit(due, gate, flows)
            starts += [now for _ in admission.admitted]
            for run in due:
                del waiting[run.id]
            waiting |= admission.booked
            standing += admission.held
            count = admission.calls.get((name, "f"), 0)
            waiting |= dict.fromkeys(sorted(standing)[:count], now)
            standing = sorted(standing)[count:]
    for first in starts:
        assert sum(first <= start < first + period - 1e-3 for start in starts) <= rate.limit + rate.burst - 1
    assert not standing or any(at > now for at in waiting.values()), "somebody comes for those who stand there"
    assert len(starts) + len(waiting) + len(standing) == len(pauses)


@given(limiting, wanted)
def test_those_who_stand_where_there_is_room_are_recalled(
    limited: tuple[Concurrency, ...], asked: list[tuple[str, str]]
) -> None:
    definition = stored(concurrency=limited)
    flows: Flows = {"f": definition["flow"]}  # type: ignore[dict-item]
    runs = [candidate(n, definition, {"user": user, "region": region}) for n, (user, region) in enumerate(asked)]
    standing = {run.gates[0]: Standing(run.gates[0], run.id, "f", run.gates, True) for run in reversed(runs)}
    assert recall(standing.values(), gates_for(runs), flows).keys() == {(name, "f") for name in standing}
    full = gates_for(runs, Counter({name: 4 for run in runs for name in run.gates}))
    assert recall(standing.values(), full, flows) == {}


def test_a_gate_whose_limit_is_gone_lets_everybody_through() -> None:
    limited = stored(concurrency=1)
    runs = [candidate(n, limited, {}) for n in range(5)]
    changed: list[dict[str, object]] = [{}, {"throttle": None}, {"concurrency": []}]
    for flow in changed:
        admission = admit(runs, gates_for(runs), {"f": flow})
        assert len(admission.admitted) == 5
        assert admission.calls[runs[0].gates[0], "f"] >= 100
