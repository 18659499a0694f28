"""Inferences: calls of models that runs wait for; and what is kept of a step beside its record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cdc.store import ai_calls
from cdc.store.ai_calls import CallRecord
from cdc.store.arrays import plain, quoted
from cdc.store.connect import Connection
from cdc.store.queries import text


class InferenceRecord(NamedTuple):
    """A call of a model to be made. `request` is JSON, `timeout` is in seconds; see `cdc_state.inferences`."""

    run_id: str
    step_id: str
    function_id: str
    model: str
    request: str
    whole: bool
    output: str | None
    retries: int
    timeout: float


class Beside(NamedTuple):
    """What is kept of a step that calls a model, in the commit of its record: what it was given (JSON), the call that
    was made, or the one to be made.
    """

    run_id: str
    step_id: str
    input: str | None = None
    call: CallRecord | None = None
    inference: InferenceRecord | None = None


class Inference(NamedTuple):
    """An inference that this worker holds. `attempts` counts failed calls that count, `calls` all that failed."""

    run_id: str
    step_id: str
    claims: int
    function_id: str
    model: str
    request: dict[str, Any]
    whole: bool
    output: str | None
    retries: int
    attempts: int
    calls: int
    timeout: float

    @property
    def key(self) -> tuple[str, str]:
        """Run and step."""
        return self.run_id, self.step_id


class AnswerRecord(NamedTuple):
    """What came of a call. `data` and `error` are JSON; with `due_in` another attempt is made in so many seconds.

    `took` is how many the call took.
    """

    run_id: str
    step_id: str
    claims: int
    attempts: int
    data: str | None
    error: str | None
    due_in: float | None
    took: float


_INFERENCE = {
    "run_ids": plain,
    "step_ids": quoted,
    "function_ids": quoted,
    "models": quoted,
    "requests": quoted,
    "wholes": plain,
    "outputs": quoted,
    "retries": plain,
    "timeouts": plain,
}
_ANSWER = {
    "run_ids": plain,
    "step_ids": quoted,
    "claims": plain,
    "attempts": plain,
    "data": quoted,
    "errors": quoted,
    "due_ins": plain,
    "tooks": plain,
}


async def keep(conn: Connection, kept: Sequence[Beside]) -> None:
    """Keep what belongs to steps that were recorded in this transaction."""
    if inputs := [(each.run_id, each.step_id, each.input) for each in kept if each.input is not None]:
        run_ids, ids, documents = zip(*inputs, strict=True)
        parameters = {"run_ids": plain(run_ids), "ids": quoted(ids), "inputs": quoted(documents)}
        await conn.execute(text("steps/keep_inputs"), parameters)
    await ai_calls.write(conn, [each.call for each in kept if each.call])
    if wanted := [each.inference for each in kept if each.inference]:
        columns = zip(_INFERENCE.items(), zip(*wanted, strict=True), strict=True)
        await conn.execute(text("inferences/insert"), {name: array(column) for (name, array), column in columns})


async def claim(conn: Connection, worker_id: int, limit: int) -> list[Inference]:
    """Claim up to `limit` due inferences; none when the worker's lease is gone."""
    cursor = await conn.execute(text("inferences/claim"), {"worker_id": worker_id, "limit": limit})
    return [Inference(*row) for row in await cursor.fetchall()]


async def answer(conn: Connection, worker_id: int, answers: Sequence[AnswerRecord]) -> bool | None:
    """Record what came of calls; whether any run goes on with that, None when the worker's lease is gone."""
    columns = zip(_ANSWER.items(), zip(*answers, strict=True), strict=True)
    parameters: dict[str, Any] = {name: array(column) for (name, array), column in columns}
    row = await (await conn.execute(text("inferences/answer"), {"worker_id": worker_id, **parameters})).fetchone()
    return None if row is None else bool(row[0])


async def next_due(conn: Connection) -> float | None:
    """Seconds until the next inference that nobody holds is due; None when there is none."""
    row = await (await conn.execute(text("inferences/next_due"))).fetchone()
    assert row is not None, "an aggregate has one row"
    return None if row[0] is None else float(row[0])


async def held(conn: Connection, worker_id: int) -> set[tuple[str, str]]:
    """Run and step of what this worker holds; what it asks and holds no more was cancelled."""
    cursor = await conn.execute(text("inferences/held"), {"worker_id": worker_id})
    return {(run_id, step_id) for run_id, step_id in await cursor.fetchall()}


async def release(conn: Connection, worker_ids: Sequence[int]) -> None:
    """Give back what these workers hold."""
    await conn.execute(text("inferences/release"), {"worker_ids": list(worker_ids)})


async def release_unknown(conn: Connection, worker_id: int, known: Iterable[tuple[str, str]]) -> None:
    """Give back what this worker holds without knowing it."""
    run_ids, step_ids = zip(*found, strict=True) if (found := list(known)) else ((), ())
    parameters = {"worker_id": worker_id, "run_ids": plain(run_ids), "step_ids": quoted(step_ids)}
    await conn.execute(text("inferences/release_unknown"), parameters)


async def forget_content(conn: Connection, run_ids: Sequence[str]) -> None:
    """Forget what models said in those of these runs that have ended, where their input was not kept either."""
    await conn.execute(text("steps/forget_content"), {"ids": run_ids})
