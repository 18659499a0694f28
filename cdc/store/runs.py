"""Runs and their steps: claimed, read, released."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, LiteralString, NamedTuple

from cdc.store.connect import Connection
from cdc.store.counting import count
from cdc.store.json import document
from cdc.store.queries import text
from cdc.tallies import Tallies

COUNTED = 10_000
"""Runs that are counted at most: of those that are due or rest, those with limits, those held, and those running."""


class ClaimedRun(NamedTuple):
    """A run that this worker holds. `failures` counts failed attempts of the handler itself.

    `holds`: places or a turn, or another run waits for its result; `ending.settle` sees to it when it leaves.
    `rescues`: how much it is suspected of its workers' ends since it last came any further (see store.workers).
    `claimed_at`: seconds since 1970 by the database's clock; so is `since`, when it started, or was due if it does now.
    """

    id: str
    function_id: str
    event_ids: list[str]
    claims: int
    failures: int
    holds: bool = False
    rescues: int = 0
    claimed_at: float = 0.0
    since: float = 0.0
    is_first: bool = False
    """Whether it has never been claimed before; it may have memos all the same, of the run that it replays."""


class Candidate(NamedTuple):
    """A due run that must find a place at its gates before it is claimed."""

    id: str
    function_id: str
    gates: list[str]
    is_new: bool


class Standing(NamedTuple):
    """The first run of a function that stands at a gate for a place."""

    held_at: str
    id: str
    function_id: str
    gates: list[str]
    is_new: bool


class CancelledRun(NamedTuple):
    """A run that was cancelled just now; `took`: seconds since it started, None if it had not."""

    id: str
    function_id: str
    event_ids: list[str]
    took: float | None


class Given(NamedTuple):
    """A run's function, and the events that it was given."""

    id: str
    function_id: str
    event_ids: list[str]
    ended: bool


class Memo(NamedTuple):
    """What is recorded of a step. `due_in` is seconds until a sleep ends, negative when it has.

    `edit` is the input that it takes in place of its code's; nothing else may be recorded of it yet.
    """

    kind: str
    attempts: int
    data: Any
    error: dict[str, Any] | None
    ended: bool
    due_in: float | None
    edit: Any = None


async def claim(
    conn: Connection, worker_id: int, functions: Sequence[str], limit: int, *, suspect: bool = False
) -> list[ClaimedRun]:
    """Claim up to `limit` due runs of these functions; none when the worker's lease is gone.

    Only runs without gates. Those whose worker died before are `suspect`, and claimed apart from the others.
    """
    parameters = {"worker_id": worker_id, "functions": list(functions), "limit": limit, "suspect": suspect}
    cursor = await conn.execute(text("runs/claim"), parameters)
    return [ClaimedRun(*row) for row in await cursor.fetchall()]


async def candidates(
    conn: Connection, worker_id: int, functions: Sequence[str], limit: int, *, suspect: bool = False
) -> list[Candidate]:
    """Up to `limit` due runs of these functions that need places, locked; none when the worker's lease is gone.

    Those that are `suspect` apart from the others, as in `claim`.
    """
    parameters = {"worker_id": worker_id, "functions": list(functions), "limit": limit, "suspect": suspect}
    return [Candidate(*row) for row in await (await conn.execute(text("runs/candidates"), parameters)).fetchall()]


async def admit(conn: Connection, worker_id: int, run_ids: Sequence[str], at: float) -> list[ClaimedRun]:
    """Claim candidates that have found their places, at that moment (seconds since 1970, by the database's clock)."""
    cursor = await conn.execute(text("runs/admit"), {"worker_id": worker_id, "ids": run_ids, "at": at})
    return [ClaimedRun(*row) for row in await cursor.fetchall()]


async def hold(conn: Connection, held: Mapping[str, str], booked: Mapping[str, float]) -> None:
    """Let candidates stand at a full gate, or wait for the moment (seconds since 1970) when a throttle lets them."""
    parameters = {
        "held": list(held),
        "gates": list(held.values()),
        "booked": list(booked),
        "moments": list(booked.values()),
    }
    await conn.execute(text("runs/hold"), parameters)


async def standing(conn: Connection) -> list[Standing]:
    """Of each function, the first run at each gate where one stands for a place."""
    return [Standing(*row) for row in await (await conn.execute(text("runs/standing"))).fetchall()]


async def expire_waits(conn: Connection, run_ids: Sequence[str]) -> None:
    """End the waits of claimed runs whose time is over, and forget them."""
    await conn.execute(text("steps/expire"), {"ids": run_ids})


async def answer(conn: Connection, run_ids: Sequence[str]) -> bool:
    """Give the results of runs that ended to the steps that invoked them; whether any run goes on with that."""
    return (await conn.execute(text("steps/answer"), {"ids": run_ids})).rowcount > 0


async def refuse_steps(conn: Connection, refused: Sequence[tuple[str, str, dict[str, str]]]) -> int:
    """End these (run, step) with an error; how many runs go on with that."""
    parameters = {
        "run_ids": [run_id for run_id, _, _ in refused],
        "ids": [step_id for _, step_id, _ in refused],
        "errors": [document(error) for _, _, error in refused],
    }
    return (await conn.execute(text("steps/refuse"), parameters)).rowcount


async def cancel(conn: Connection, run_ids: Sequence[str], error: str) -> list[CancelledRun]:
    """Cancel these runs where they are unfinished; what they held is still to be settled."""
    cursor = await conn.execute(text("runs/cancel"), {"ids": run_ids, "error": error})
    cancelled = [CancelledRun(*row) for row in await cursor.fetchall()]
    book = Tallies()
    for run in cancelled:
        if run.took is None:
            book.add("cancelled", run.function_id)
        else:
            book.time("cancelled", run.function_id, run.took)
    count(conn, book)
    return cancelled


async def cancelled(conn: Connection, worker_id: int) -> list[str]:
    """The runs of this worker that were cancelled since it asked last."""
    return [row[0] for row in await (await conn.execute(text("runs/cancelled"), {"worker_id": worker_id})).fetchall()]


async def overdue(conn: Connection, limit: int) -> list[tuple[str, bool]]:
    """Up to `limit` unfinished runs whose deadline has passed, locked; and whether each had started."""
    return [(id_, started) for id_, started in await _rows(conn, "runs/overdue", {"limit": limit})]


async def next_deadline(conn: Connection) -> float | None:
    """Seconds until the next deadline of an unfinished run; None when there is none."""
    found = await _rows(conn, "runs/next_deadline", {})
    return float(found[0][0]) if found else None


async def memos(conn: Connection, run_ids: Sequence[str]) -> dict[str, dict[str, Memo]]:
    """The recorded steps of these runs, by run and step id."""
    found: dict[str, dict[str, Memo]] = {}
    if run_ids:
        cursor = await conn.execute(text("steps/of_runs"), {"ids": list(run_ids)})
        for run_id, step_id, *memo in await cursor.fetchall():
            found.setdefault(run_id, {})[step_id] = Memo(*memo)
    return found


async def next_due(conn: Connection, functions: Sequence[str]) -> float | None:
    """Seconds until the next run of these functions is due; None when there is none."""
    row = await (await conn.execute(text("runs/next_due"), {"functions": list(functions)})).fetchone()
    assert row is not None, "an aggregate has one row"
    return None if row[0] is None else float(row[0])


async def release(conn: Connection, worker_ids: Iterable[int], *, suspicion: int) -> list[str]:
    """Queue the runs of these workers again; returns them. By so much they are suspected of their worker's end."""
    parameters = {"worker_ids": list(worker_ids), "suspicion": suspicion}
    return [row[0] for row in await (await conn.execute(text("runs/release"), parameters)).fetchall()]


async def release_unknown(conn: Connection, worker_id: int, known: Iterable[str]) -> list[str]:
    """Queue again what this worker holds without knowing it; returns those runs."""
    parameters = {"worker_id": worker_id, "known": list(known)}
    return [row[0] for row in await (await conn.execute(text("runs/release_unknown"), parameters)).fetchall()]


async def repeatable(conn: Connection, run_ids: Sequence[str]) -> list[Given]:
    """What these runs were given, to give it to others."""
    cursor = await conn.execute(text("runs/repeatable"), {"ids": run_ids})
    return [Given(*row) for row in await cursor.fetchall()]


async def editable(conn: Connection, run_id: str, step_id: str) -> tuple[str, bool] | None:
    """The kind of a step, and whether its input is known; None when the run has no such step."""
    found = await _rows(conn, "steps/editable", {"run_id": run_id, "id": step_id})
    return (str(found[0][0]), bool(found[0][1])) if found else None


async def begin_from(conn: Connection, run_id: str, replays: str, step_id: str, input: str | None) -> None:
    """Give a new run the memos of the one that it replays, up to a step, which has this `input` (JSON), if any."""
    parameters = {"run_id": run_id, "replays": replays, "step": step_id, "input": input}
    await conn.execute(text("steps/begin_from"), parameters)


async def hold_paused(conn: Connection, run_ids: Sequence[str]) -> None:
    """Keep runs of paused functions, created in the caller's transaction, from starting."""
    await conn.execute(text("runs/hold_paused"), {"ids": run_ids})


async def counts(conn: Connection) -> dict[str, int]:
    """How many runs are unfinished, by status (`held`: they stand at a limit, or are paused); of what there is more of
    than `COUNTED`, as many.
    """
    return dict(await (await conn.execute(text("runs/counts"), {"limit": COUNTED})).fetchall())


async def _rows(conn: Connection, name: LiteralString, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    return await (await conn.execute(text(name), parameters)).fetchall()
