"""Calls of models: the rows of cdc_state.ai_calls."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from cdc.store.connect import Connection
from cdc.store.counting import count
from cdc.store.queries import text
from cdc.tallies import DOLLAR, Tallies


class CallRecord(NamedTuple):
    """One call. `latency` and `first_token` are in seconds, `cost` in US dollars (None: unknown); see `cdc.ai.call`."""

    operation: str
    provider: str
    model: str
    latency: float
    run_id: str | None = None
    step_id: str | None = None
    attempt: int | None = None
    function_id: str | None = None
    response_model: str | None = None
    inputs: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    streamed: bool = False
    first_token: float | None = None
    cost: Decimal | None = None
    finish_reason: str | None = None
    error: str | None = None


VECTORS = "vectors"
"""What calls for vectors are counted as, which are of no function alone."""

_COLUMNS = {
    "run_ids": "run_id",
    "step_ids": "step_id",
    "attempts": "attempt",
    "function_ids": "function_id",
    "operations": "operation",
    "providers": "provider",
    "models": "model",
    "response_models": "response_model",
    "inputs": "inputs",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "cached_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "streamed": "streamed",
    "latencies": "latency",
    "first_tokens": "first_token",
    "costs": "cost",
    "finish_reasons": "finish_reason",
    "errors": "error",
}


class Spent(NamedTuple):
    """What calls of one model cost. `cost` is that of the calls whose price is known, None when it is of none."""

    provider: str
    model: str
    calls: int
    tokens: int | None
    cost: Decimal | None
    without_price: int


async def spent(conn: Connection) -> list[Spent]:
    """On vectors, by model, as far back as calls are kept."""
    return [Spent(*row) for row in await (await conn.execute(text("ai_calls/by_model"))).fetchall()]


async def write(conn: Connection, calls: Sequence[CallRecord]) -> None:
    """Record calls, in the transaction of the connection."""
    if calls:
        parameters = {name: [getattr(call, column) for call in calls] for name, column in _COLUMNS.items()}
        await conn.execute(text("ai_calls/write"), parameters)
        count(conn, _counted(calls))


def _counted(calls: Sequence[CallRecord]) -> Tallies:
    book = Tallies()
    for call in calls:
        model, function = f"{call.provider}/{call.model}", call.function_id or VECTORS
        cost = round((call.cost or 0) * DOLLAR)
        book.time("call" if call.error is None else "call_failed", model, call.latency)
        book.add("function_calls", function)
        sums = [
            ("input_tokens", model, call.input_tokens or 0),
            ("output_tokens", model, call.output_tokens or 0),
            ("cost", model, cost),
            ("unpriced", model, int(call.cost is None and call.error is None)),
            ("function_tokens", function, (call.input_tokens or 0) + (call.output_tokens or 0)),
            ("function_cost", function, cost),
        ]
        for what, name, number in sums:
            if number:
                book.add(what, name, number)
    return book


async def prune(conn: Connection, limit: int, *, kept: float) -> int:
    """Delete up to `limit` calls that ended `kept` seconds ago or earlier; how many."""
    return (await conn.execute(text("ai_calls/prune"), {"limit": limit, "kept": kept})).rowcount
