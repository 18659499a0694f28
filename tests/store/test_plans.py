"""Plan guards: what the hot statements read does not grow with the history.

Each is planned with its parameters and without (psycopg prepares a statement after a few uses, and the server may then
keep a generic plan), with fresh statistics and with none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cdc.store.queries import text
from tests.store.state import State
from tests.store.test_queries import numbered

FINISHED, DUE, HELD, MOST = 200_000, 1_000, 100, 500
KEYS, EACH = 100, 20
"""Keys of a concurrency limit, and the runs that stand at the gate of each."""

HISTORY = f"""
    insert into cdc_state.workers (host, pid, functions, lease_until)
    values ('here', 1, '{{greet}}', now() + interval '1 hour');
    insert into cdc_state.runs (id, function_id, event_ids, status, claims, ended_at)
    select gen_random_uuid(), 'greet', array[gen_random_uuid()], 'completed', 1, now()
      from generate_series(1, {FINISHED});
    insert into cdc_state.runs (id, function_id, event_ids)
    select gen_random_uuid(), 'greet', array[gen_random_uuid()] from generate_series(1, {DUE});
    insert into cdc_state.runs (id, function_id, event_ids, status, claims, worker_id)
    select gen_random_uuid(), 'greet', array[gen_random_uuid()], 'running', 1, 1 from generate_series(1, {HELD});
    insert into cdc_state.runs (id, function_id, event_ids, gates, held_at)
    select gen_random_uuid(), 'gated', array[gen_random_uuid()], array[gate], case each when 1 then null else gate end
      from generate_series(1, {KEYS}) as key, generate_series(1, {EACH}) as each,
           lateral (select 'concurrency/0/gated/' || key as gate) as gates;
"""


class Guard(NamedTuple):
    """A statement, its parameters as SQL, the index it must use, and the most pages (8 kB) it may touch.

    Moving a run touches about fifteen: its row, where it goes, and three indexes.
    """

    statement: str
    parameters: str
    through: str
    pages: int


GUARDS = [
    Guard("runs/claim", f"(1, array['greet'], false, {MOST})", "runs_due", 20 * MOST),
    Guard("runs/claim", "(1, array['greet'], false, 10)", "runs_due", 20 * 10),
    Guard("runs/candidates", f"(1, array['gated'], false, {MOST})", "runs_due_gated", 5 * MOST),
    Guard("runs/candidates", "(1, array['gated'], false, 10)", "runs_due_gated", 5 * 10),
    Guard("runs/standing", "", "runs_held", 10 * KEYS),
    Guard("gates/call", "(array['concurrency/0/gated/7'], array['gated'], array[3])", "runs_held", 100),
    Guard("runs/next_due", "(array['greet'])", "runs_due", 60 + KEYS),
    Guard("runs/release", "(0, array[1])", "runs_of_worker", 20 * HELD),
    Guard("runs/release_unknown", "(1, array[]::uuid[])", "runs_of_worker", 20 * HELD),
    Guard("runs/counts", "", "runs_due", 2 * (DUE + HELD + KEYS * EACH)),
]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


async def explained(state: State, guard: Guard) -> dict[str, Any]:
    async with state.connection.transaction(force_rollback=True):
        await state.connection.execute(f"prepare it as {numbered(text(guard.statement))}".encode())
        ((plan,),) = await state.rows(f"explain (analyze, buffers, format json) execute it{guard.parameters}")
        await state.connection.execute("deallocate it")
    found: dict[str, Any] = plan[0]["Plan"]
    return found


async def test_hot_statements_read_their_index_and_not_the_history(any_state: State) -> None:
    await any_state.connection.execute(HISTORY.encode())
    for statistics in ("none", "fresh"):
        if statistics == "fresh":
            await any_state.connection.execute("analyze")
        for mode in ("force_custom_plan", "force_generic_plan"):
            await any_state.connection.execute(f"set plan_cache_mode = {mode}".encode())
            for guard in GUARDS:
                case = (*guard, statistics, mode)
                plan = await explained(any_state, guard)
                assert guard.through in {node.get("Index Name") for node in nodes(plan)}, case
                scanned = {node.get("Relation Name") for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
                assert "runs" not in scanned, case
                assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] <= guard.pages, case
