"""Calls of models are written down a little later, once, and not lost with a connection."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from cdc.ai.call import Call, Usage
from cdc.errors import DatabaseUnreachable
from cdc.service import ledger as ledgers
from cdc.service.ledger import Ledger
from cdc.store.connect import Connection, connect
from tests.servers import Connect
from tests.waiting import eventually


def call(model: str = "text-embedding-3-small", *, response_model: str | None = None, provider: str = "openai") -> Call:
    usage = Usage(input_tokens=1_000_000, total_tokens=1_000_000)
    return Call("embeddings", provider, model, 0.25, usage, response_model=response_model, inputs=3)


async def written(conn: Connection) -> list[tuple[object, ...]]:
    columns = "provider, model, inputs, total_tokens, cost, latency"
    return await (await conn.execute(f"select {columns} from cdc_state.ai_calls order by id".encode())).fetchall()


@pytest.fixture
async def conn(connect: Connect, migrated_url: str) -> Connection:
    return await connect(migrated_url)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still has time for the last page, too."""
    monkeypatch.setattr(ledgers, "_LAST", 60.0)


async def test_calls_are_written_after_a_moment_and_at_the_end(conn: Connection, migrated_url: str) -> None:
    ledger = Ledger(lambda: connect(migrated_url, autocommit=True), every=0.01)
    ledger(call())
    ledger(call("unheard-of"))

    async def two() -> bool:
        return len(await written(conn)) == 2

    await eventually(two)
    assert await written(conn) == [
        ("openai", "text-embedding-3-small", 3, 1_000_000, Decimal("0.02"), 0.25),
        ("openai", "unheard-of", 3, 1_000_000, None, 0.25),
    ]
    slow = Ledger(lambda: connect(migrated_url, autocommit=True), every=3600)
    slow(call())
    await slow.close()
    assert len(await written(conn)) == 3
    await ledger.close()


@pytest.mark.parametrize(
    ("given", "cost"),
    [
        (call("mine", provider="azure", response_model="text-embedding-3-small"), Decimal("0.02")),
        (call("text-embedding-3-small", response_model="renamed"), Decimal("0.02")),
        (call("minilm", provider="local"), Decimal(0)),
        (call("gemini-embedding-001", provider="gemini"), Decimal("0.15")),
    ],
)
async def test_a_price_is_found_by_what_answered_or_by_what_was_asked(
    conn: Connection, migrated_url: str, given: Call, cost: Decimal
) -> None:
    ledger = Ledger(lambda: connect(migrated_url, autocommit=True), every=0.01)
    ledger(given)
    await ledger.close()
    ((*_, price, _),) = await written(conn)
    assert price == cost


async def test_calls_outlive_a_database_that_is_away(conn: Connection, migrated_url: str) -> None:
    away = asyncio.Event()

    async def trying() -> Connection:
        if not away.is_set():
            away.set()
            raise DatabaseUnreachable("away")
        return await connect(migrated_url, autocommit=True)

    ledger = Ledger(trying, every=0.01)
    ledger(call())
    await away.wait()
    ledger(call())
    await ledger.close()
    assert len(await written(conn)) == 2


async def test_a_call_that_comes_while_the_connection_is_closed_waits_for_no_other(
    conn: Connection, migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Connection] = []

    async def connecting() -> Connection:
        made = await connect(migrated_url, autocommit=True)
        close = made.close

        async def closing() -> None:
            if len(opened) == 1:
                ledger(call("late"))
            await close()

        monkeypatch.setattr(made, "close", closing)
        opened.append(made)
        return made

    ledger = Ledger(connecting, every=0.01)
    ledger(call())

    async def both() -> bool:
        return len(await written(conn)) == 2

    await eventually(both)
    await ledger.close()


async def test_a_connection_that_breaks_loses_no_call(conn: Connection, migrated_url: str) -> None:
    ledger = Ledger(lambda: connect(migrated_url, autocommit=True), every=0.01)
    ledger(call())

    async def one_is_there() -> bool:
        return len(await written(conn)) == 1

    await eventually(one_is_there)
    await conn.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where pid <> pg_backend_pid() and datname = current_database()"
    )
    ledger(call())
    await ledger.close()
    assert len(await written(conn)) == 2


async def test_a_call_that_cannot_be_stored_harms_no_later_one(conn: Connection, migrated_url: str) -> None:
    ledger = Ledger(lambda: connect(migrated_url, autocommit=True), every=0.01)
    ledger(call("nul \0"))

    async def a_later_one_is_written() -> bool:
        ledger(call())
        return bool(await written(conn))

    await eventually(a_later_one_is_written)
    await ledger.close()
    assert {model for _, model, *_ in await written(conn)} == {"text-embedding-3-small"}
