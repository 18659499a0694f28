"""Plan guards: what the hot statements read does not grow with the history, nor with all that sleeps and waits.

Each is planned with its parameters and without (psycopg prepares a statement after a few uses, and the server may then
keep a generic plan), with fresh statistics and with none.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from cdc.store.queries import text
from tests.store.state import State
from tests.store.test_queries import PLACEHOLDER, numbered

pytestmark = pytest.mark.timeout(600)

FINISHED, WAITING, MOST = 1_000_000, 100_000, 500
KEYS = 10_000
"""Of concurrency."""

BEGAN = int(time.time() * 1000) - 30 * 86_400_000
"""Milliseconds since 1970: when the history begins. It is a month long."""

BIG = {"runs", "events", "steps", "waits", "gates", "inferences"}


def ident(kind: str, number: int) -> str:
    """The id of a run or an event, made as those of the service are: newest last."""
    return f"{BEGAN + number * (30 * 86_400_000 // FINISHED):012x}70008000{kind:>012}"


def ident_of(kind: str) -> str:
    """The same in SQL, of the number n."""
    step = 30 * 86_400_000 // FINISHED
    return f"(lpad(to_hex({BEGAN} + n::bigint * {step}), 12, '0') || '70008000{kind:>012}')::uuid"


F, W, D, R, G, H, E = (f"a{number}" for number in range(7))
"""Runs that finished; that wait; that are due; that run; due with gates; held at gates; and those that may end."""

MOMENT = f"to_timestamp({BEGAN} / 1000.0) + n * interval '{30 * 86_400 / FINISHED} s'"

HISTORY = [
    *(f"alter table cdc_state.{table} set unlogged" for table in sorted(BIG)),
    *(f"alter table cdc_state.{table} set (autovacuum_enabled = off)" for table in sorted(BIG)),
    "insert into cdc_state.workers (host, pid, functions, lease_until)"
    " values ('here', 1, '{greet}', now() + interval '1 hour')",
    f"""insert into cdc_state.runs (id, function_id, event_ids, status, claims, created_at, ended_at, due_at, rank)
    select {ident_of(F)}, 'greet', array[{ident_of("e")}], 'completed', 1, {MOMENT}, {MOMENT}, {MOMENT}, {MOMENT}
      from generate_series(1, {FINISHED}) n""",
    f"""insert into cdc_state.events (id, source_id, name, ts, data, accepted_at)
    select {ident_of("e")}, 1, 'db/users.inserted', {MOMENT}, '{{}}', {MOMENT} from generate_series(1, {FINISHED}) n""",
    f"""insert into cdc_state.steps (run_id, id, kind, started_at, ended_at)
    select {ident_of(F)}, 'first', 'run', now(), now() from generate_series(1, {WAITING}) n""",
    f"""insert into cdc_state.runs (id, function_id, event_ids, status, claims, due_at, rank)
    select {ident_of(W)}, 'greet', array[{ident_of("e")}], 'waiting', 1, now() + '1 year', now() + '1 year'
      from generate_series(1, {WAITING}) n""",
    f"""insert into cdc_state.steps (run_id, id, kind, started_at, wake_at)
    select {ident_of(W)}, 'answer', 'wait', now(), now() + interval '1 year' from generate_series(1, {WAITING}) n""",
    f"""insert into cdc_state.waits (run_id, id, cancels, event, path, value, expression, context, expires_at)
    select {ident_of(W)}, 'answer', false, 'db/answers.inserted', 'data.new.id', n::text, 'true', '{{}}',
           now() + '1 year'
      from generate_series(1, {WAITING}) n""",
    f"""insert into cdc_state.inferences (run_id, step_id, function_id, model, request, whole, retries, timeout, due_at)
    select {ident_of(W)}, 'say', 'greet', 'a/b', '{{}}', false, 4, 600, now() + (n - 50000) * interval '1 s'
      from generate_series(1, {WAITING}) n""",
    f"""insert into cdc_state.inferences
           (run_id, step_id, function_id, model, request, whole, retries, timeout, worker_id)
    select {ident_of(R)}, 'say', 'greet', 'a/b', '{{}}', false, 4, 600, 1 from generate_series(1, 1000) n""",
    f"""insert into cdc_state.steps (run_id, id, kind, started_at)
    select {ident_of(R)}, 'say', 'infer', now() from generate_series(1, 1000) n""",
    f"""insert into cdc_state.runs (id, function_id, event_ids, due_at, rank)
    select {ident_of(D)}, 'greet', array[{ident_of("e")}], now(), now() from generate_series(1, 1000) n""",
    f"""insert into cdc_state.runs (id, function_id, event_ids, status, claims, worker_id, gates, placed)
    select {ident_of(R)}, 'greet', array[{ident_of("e")}], 'running', 1, 1, array['concurrency/0/greet/' || n], true
      from generate_series(1, 1000) n""",
    f"""insert into cdc_state.runs (id, function_id, event_ids, gates)
    select {ident_of(G)}, 'greet', array[{ident_of("e")}], array['concurrency/0/greet/' || n]
      from generate_series(1, {KEYS}) n""",
    f"""insert into cdc_state.runs (id, function_id, event_ids, gates, held_at)
    select {ident_of(H)}, 'greet', array[{ident_of("e")}], array['concurrency/0/greet/' || n],
           'concurrency/0/greet/' || n
      from generate_series(1, {KEYS}) n""",
    f"""insert into cdc_state.gates (name, taken)
    select 'concurrency/0/greet/' || n, (n <= 1000)::integer from generate_series(1, {KEYS}) n""",
    f"""insert into cdc_state.runs (id, function_id, event_ids, due_at, rank, singleton, filling, deadline)
    select {ident_of(E)}, 'greet', '{{}}', now() + '1 year', now() + '1 year', n::text, n::text,
           now() + n * interval '1 s'
      from generate_series(-100, 10000) n""",
]


class Guard(NamedTuple):
    """A statement, its parameters as SQL, the index it must use, and the most pages (8 kB) it may touch.

    Moving a run touches about fifteen: its row, where it goes, and its indexes. One that is `measured` needs
    statistics: without any, Postgres takes each value of a column for a two-hundredth of the table.
    """

    statement: str
    parameters: dict[str, str]
    through: str
    pages: int
    measured: bool = False


def array(items: Iterable[object], of: str) -> str:
    quoted = (f"'{item}'" for item in items)
    return f"array[{', '.join(quoted)}]::{of}[]"


def ids(kind: str, count: int) -> str:
    return array((ident(kind, number) for number in range(1, count + 1)), "uuid")


def names(prefix: str, count: int) -> str:
    return array((f"{prefix}{number}" for number in range(1, count + 1)), "text")


def many(value: str, count: int, of: str) -> str:
    return f"array_fill({value}::{of}, array[{count}])"


GREET = {"functions": "array['greet']"}
GATES = names("concurrency/0/greet/", 100)
CLAIM = {**GREET, "worker_id": "1", "suspect": "false"}
ANSWERS = {
    "events": many("'db/answers.inserted'", 100, "text"),
    "paths": many("'data.new.id'", 100, "text"),
    "values": names("", 100),
}
CALLS = {
    "worker_id": "1",
    "run_ids": ids(R, 100),
    "step_ids": many("'say'", 100, "text"),
    "claims": many("0", 100, "integer"),
    "attempts": many("1", 100, "integer"),
    "data": many("'{}'", 100, "json"),
    "errors": many("null", 100, "json"),
    "due_ins": many("null", 100, "float8"),
    "tooks": many("0.1", 100, "float8"),
}
FULFIL = {"run_ids": ids(W, 100), "ids": many("'answer'", 100, "text"), "data": many("'{}'", 100, "json")}
WRITE = {
    "worker_id": "1",
    "step_run_ids": ids(R, 1000),
    "step_ids": many("'first'", 1000, "text"),
    "kinds": many("'run'", 1000, "text"),
    "attempts": many("1", 1000, "integer"),
    "data": many("'1'", 1000, "json"),
    "errors": many("null", 1000, "json"),
    "wake_ats": many("null", 1000, "timestamptz"),
    "wake_ins": many("null", 1000, "float8"),
    "tooks": many("0.1", 1000, "float8"),
    "endeds": many("true", 1000, "boolean"),
    "inputs": many("null", 1000, "json"),
    "run_ids": ids(R, 1000),
    "run_claims": many("1", 1000, "integer"),
    "statuses": many("'completed'", 1000, "text"),
    "failures": many("0", 1000, "integer"),
    "outputs": many("'1'", 1000, "json"),
    "run_errors": many("null", 1000, "json"),
    "due_ins": many("null", 1000, "float8"),
    "kept_run_ids": "array[]::uuid[]",
    "kept_step_ids": "array[]::text[]",
    "kept": "array[]::integer[]",
    "kept_errors": "array[]::json[]",
    "kept_tooks": "array[]::float8[]",
}
FAILURES = {
    "kept_run_ids": ids(R, 1000),
    "kept_step_ids": many("'first'", 1000, "text"),
    "kept": many("1", 1000, "integer"),
    "kept_errors": many("'{}'", 1000, "json"),
    "kept_tooks": many("0.1", 1000, "float8"),
}
WEEK = {"kept": "604800.0", "looked": "604800.0", "limit": str(MOST)}
HUNDRED = {"functions": many("'greet'", 100, "text"), "keys": names("", 100)}

ANY = {"functions": "null", "statuses": "null", "since": "null"}
CHOSEN = {
    **ANY,
    "since": "'-infinity'",
    "until": "'infinity'",
    "first": f"'{UUID(int=0)}'",
    "before": f"'{UUID(int=(1 << 128) - 1)}'",
    "looks": "50000",
    "limit": "101",
}
PAGE = {
    "name": "null",
    "since": "'-infinity'",
    "before_at": "'infinity'",
    "before_id": f"'{UUID(int=0)}'",
    "looks": "50000",
    "limit": "101",
}
CONTAINING = {"containing": "'nothing has it'", "looks": "10000", "bytes": "33554432"}
SEEN = {
    "id": f"'{ident('e', 7)}'",
    "earliest": f"'{ident(F, 1)}'",
    "first": f"'{ident(F, 1)}'",
    "middle": f"'{ident(F, 50)}'",
}
STARTED = {"ids": ids("e", 50), "last": f"'{ident(F, FINISHED)}'", "most": "5000"}

FORWARDED = {"source_id": "1", "from": f"'{ident('e', 7)}'", "until": f"'{ident('e', FINISHED)}'", "limit": "1000"}

GUARDS = [
    Guard("runs/claim", {**CLAIM, "limit": str(MOST)}, "runs_due", 20 * MOST),
    Guard("runs/claim", {**CLAIM, "limit": "10"}, "runs_due", 20 * 10),
    Guard("runs/candidates", {**CLAIM, "limit": str(MOST)}, "runs_due_gated", 10 * MOST),
    Guard("runs/admit", {**CLAIM, "ids": ids(G, 100), "at": "1800000000.0"}, "runs_pkey", 20 * 100),
    Guard("runs/next_due", GREET, "runs_due", 60, measured=True),
    Guard("runs/release", {"suspicion": "0", "worker_ids": "array[1]"}, "runs_of_worker", 20 * 1000),
    Guard("runs/release_unknown", {"worker_id": "1", "known": "array[]::uuid[]"}, "runs_of_worker", 20 * 1000),
    Guard("runs/counts", {"limit": str(MOST)}, "runs_due", 8 * MOST, measured=True),
    Guard("runs/singletons", HUNDRED, "runs_singleton", 8 * 100),
    Guard("runs/filling", HUNDRED, "runs_filling", 10 * 100),
    Guard("runs/overdue", {"limit": "100"}, "runs_deadline", 4 * 100),
    Guard("runs/next_deadline", {}, "runs_deadline", 150),
    Guard("runs/page", {**CHOSEN, "looks": "101"}, "runs_pkey", 8 * 100),
    Guard("runs/page", {**CHOSEN, "statuses": "array['completed']"}, "runs_pkey", 2000, measured=True),
    Guard("runs/page", {**CHOSEN, "functions": "array['nobody']"}, "runs_pkey", 50_000 + 10_000, measured=True),
    Guard("runs/page_failed", {**CHOSEN, "statuses": "array['failed']"}, "runs_failed", 20),
    Guard("runs/page_unfinished", {**CHOSEN, "statuses": "array['running']", "looks": "20000"}, "runs_due", 90_000),
    Guard("runs/listed", {"ids": ids(F, 100)}, "runs_pkey", 8 * 100),
    Guard("runs/by_id", {"id": f"'{ident(F, 7)}'"}, "runs_pkey", 8),
    Guard("runs/exists", {"id": f"'{ident(F, 7)}'"}, "runs_pkey", 8),
    Guard("steps/of_run", {"id": f"'{ident(F, 7)}'"}, "steps_pkey", 20),
    Guard("waits/of_run", {"id": f"'{ident(W, 7)}'"}, "waits_pkey", 20),
    Guard("runs/chosen", {**ANY, "until": "now()", "after": f"'{ident(F, 1)}'", "limit": "500"}, "runs_pkey", 8 * 500),
    Guard("runs/of_event", {**SEEN, "last": f"'{ident(F, 100)}'", "looks": "50000"}, "runs_pkey", 1000),
    Guard("runs/of_event", {**SEEN, "last": f"'{ident(F, FINISHED)}'", "looks": "500"}, "runs_pkey", 2 * 600),
    Guard("runs/related", {"id": f"'{ident(F, 7)}'", "limit": "1000"}, "runs_invoker", 20),
    Guard("runs/repeatable", {"ids": ids(F, MOST)}, "runs_pkey", 8 * MOST),
    Guard("events/page", {**PAGE, "looks": "101"}, "events_accepted", 8 * 100),
    Guard("events/page", {**PAGE, "name": "'app/%'"}, "events_accepted", 50_000, measured=True),
    Guard("events/page_containing", {**PAGE, **CONTAINING}, "events_accepted", 10_000, measured=True),
    Guard("events/listed", {"ids": ids("e", 100)}, "events_pkey", 8 * 100),
    Guard("events/by_id", {"id": f"'{ident('e', 7)}'"}, "events_pkey", 8),
    Guard("forwards/page", {**FORWARDED, "bytes": "524288"}, "events_pkey", 2 * 1000, measured=True),
    Guard("forwards/backlog", {**FORWARDED, "limit": "1"}, "events_pkey", 20, measured=True),
    Guard("live/events", {}, "events_accepted", 40),
    Guard("live/overview", {}, "runs_pkey", 40),
    Guard("live/run", {"id": f"'{ident(F, 7)}'"}, "runs_pkey", 40),
    Guard("live/runs", {}, "runs_pkey", 8 * 100),
    Guard("runs/started", {**STARTED, "first": f"'{ident(F, 1)}'"}, "runs_pkey", 2 * 5000),
    Guard("journal/write", WRITE, "runs_pkey", 40 * 1000),
    Guard("journal/write", {**WRITE, **FAILURES}, "runs_pkey", 45 * 1000),
    Guard("steps/of_runs", {"ids": ids(W, MOST)}, "steps_pkey", 8 * MOST, measured=True),
    Guard("steps/answer", {"ids": ids(R, 1000)}, "runs_pkey", 8 * 1000, measured=True),
    Guard("steps/expire", {"ids": ids(W, 100)}, "steps_pkey", 8 * 100, measured=True),
    Guard("events/by_ids", {"ids": ids("e", MOST)}, "events_pkey", 6 * MOST),
    Guard("waits/paths", {"names": "array['db/answers.inserted', 'app/nobody.waits']"}, "waits_event", 40),
    Guard("waits/matching", ANSWERS, "waits_event", 8 * 100),
    Guard("waits/fulfil", FULFIL, "runs_pkey", 50 * 100),
    Guard(
        "waits/missed",
        {"names": "array['db/users.inserted']", "since": "extract(epoch from now() - interval '5 s')::float8"},
        "events_accepted",
        20,
    ),
    Guard("waits/drop", {"ids": ids(W, 100)}, "waits_pkey", 12 * 100, measured=True),
    Guard("inferences/claim", {"worker_id": "1", "limit": str(MOST)}, "inferences_due", 20 * MOST),
    Guard("inferences/next_due", {}, "inferences_due", 20),
    Guard("inferences/answer", CALLS, "inferences_pkey", 60 * 100, measured=True),
    Guard("inferences/held", {"worker_id": "1"}, "inferences_of_worker", 2000),
    Guard("inferences/release", {"worker_ids": "array[1]"}, "inferences_of_worker", 20 * 1000),
    Guard("gates/lock", {"names": names("concurrency/0/greet/", 10)}, "gates_pkey", 8 * 10),
    Guard("gates/free", {"ids": ids(R, 1000)}, "runs_pkey", 10 * 1000, measured=True),
    Guard("gates/adrift", {"after": "''", "limit": str(MOST)}, "runs_held", 12 * MOST, measured=True),
    Guard("gates/places", {"names": GATES}, "runs_of_worker", 2000),
    Guard("history/runs", {**WEEK, "after": f"'{ident(F, 0)}'"}, "runs_pkey", 40 * MOST),
    Guard("history/runs", {**WEEK, "after": f"'{ident(F, FINISHED - 1000)}'"}, "runs_pkey", 40),
    Guard(
        "history/events",
        {**WEEK, "since": "'epoch'", "after": f"'{ident('e', 0)}'"},
        "events_accepted",
        200,
        measured=True,
    ),
    Guard("history/drop_events", {"ids": ids("e", MOST)}, "events_pkey", 12 * MOST),
    Guard("history/gates", {"after": "''", "limit": str(MOST)}, "gates_pkey", 16 * MOST),
]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def pages(plan: dict[str, Any]) -> int:
    """How many pages (8 kB) it touched."""
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def explained(state: State, guard: Guard) -> dict[str, Any]:
    named = list(dict.fromkeys(PLACEHOLDER.findall(text(guard.statement))))
    values = ", ".join(guard.parameters[name] for name in named)
    async with state.connection.transaction(force_rollback=True):
        await state.connection.execute(f"prepare it as {numbered(text(guard.statement))}".encode())
        execute = f"execute it({values})" if named else "execute it"
        ((plan,),) = await state.rows(f"explain (analyze, buffers, format json) {execute}")
        await state.connection.execute("deallocate it")
    found: dict[str, Any] = plan[0]["Plan"]
    return found


async def test_hot_statements_read_their_index_and_not_the_history(any_state: State) -> None:
    for statement in HISTORY:
        await any_state.connection.execute(statement.encode())
    wrong = []
    for statistics in ("none", "fresh"):
        if statistics == "fresh":
            await any_state.connection.execute("analyze")
        for mode in ("force_custom_plan", "force_generic_plan"):
            await any_state.connection.execute(f"set plan_cache_mode = {mode}".encode())
            for guard in (guard for guard in GUARDS if not (guard.measured and statistics == "none")):
                plan = await explained(any_state, guard)
                used = {node.get("Index Name") for node in nodes(plan)}
                scanned = {node.get("Relation Name") for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
                if guard.through not in used or scanned & BIG or pages(plan) > guard.pages:
                    wrong.append((guard.statement, statistics, mode, pages(plan), guard.pages, scanned, used))
    assert not wrong, "\n".join(map(str, wrong))


QUEUED = f"""
    insert into cdc_state.runs (id, function_id, event_ids, due_at, rank, gates)
    select {ident_of("c0")}, 'greet', '{{{{}}}}', now() + n * interval '1 us', now() + n * interval '1 us',
           case when n % 2 = 0 then array['concurrency/0/greet/' || n % {KEYS}] end
      from generate_series({{first}}, {{last}}) n
"""
AWAITED = """
    insert into cdc_state.waits (run_id, id, cancels, event, path, value, expires_at)
    select gen_random_uuid(), 'answer', false, 'db/answers.inserted', 'data.new.id', n::text, now() + '1 year'
      from generate_series({first}, {last}) n
"""
ONE = {"events": "array['db/answers.inserted']", "paths": "array['data.new.id']", "values": "array['5']"}
FLAT = [
    *(Guard("runs/claim", {**CLAIM, "limit": limit}, "runs_due", 0) for limit in ("10", str(MOST))),
    *(Guard("runs/candidates", {**CLAIM, "limit": limit}, "runs_due_gated", 0) for limit in ("10", str(MOST))),
    Guard("waits/paths", {"names": "array['db/answers.inserted', 'app/nobody.waits']"}, "waits_event", 0),
    Guard("waits/matching", ONE, "waits_event", 0),
]


async def test_claims_and_accepts_touch_as_much_however_many_are_queued_and_wait(any_state: State) -> None:
    await any_state.worker("greet")
    for table in ("runs", "waits"):
        await any_state.connection.execute(f"alter table cdc_state.{table} set (autovacuum_enabled = off)".encode())

    async def touched() -> list[int]:
        await any_state.connection.execute("analyze")
        return [pages(await explained(any_state, guard)) for guard in FLAT]

    async def fill(first: int, last: int) -> None:
        for statement in (QUEUED, AWAITED):
            await any_state.connection.execute(statement.format(first=first, last=last).encode())

    await fill(1, 1000)
    few = await touched()
    await fill(1001, WAITING)
    many_ = await touched()
    # An index on a hundred times as many has one more level; and of a thousand runs, five hundred are read at once.
    assert all(after <= 2 * before + 10 for before, after in zip(few, many_, strict=True)), (few, many_)
