"""The registry: functions are rows, in force as long as a live worker has them."""

from __future__ import annotations

import asyncio

from cdc.store import functions
from tests.store.state import State, definition

GREET, BILL = definition("greet"), definition("bill")


async def in_force(state: State) -> tuple[int, list[str]]:
    version, definitions = await functions.registered(state.connection)
    return version, [definition["id"] for definition in definitions]


async def test_the_same_again_changes_nothing_and_anything_else_raises_the_version(any_state: State) -> None:
    state = any_state
    worker = await state.worker("greet")
    assert await functions.registered(state.connection) == (0, [])
    assert await functions.register(state.connection, [GREET])
    assert await functions.registered(state.connection) == (1, [{**GREET, "paused": False}])
    assert not await functions.register(state.connection, [GREET])
    assert await in_force(state) == (1, ["greet"])
    changed = definition("greet", on="db/others.inserted")
    assert await functions.register(state.connection, [changed])
    assert await functions.registered(state.connection) == (2, [{**changed, "paused": False}])
    assert worker


async def test_functions_are_archived_with_the_last_worker_that_has_them_and_come_back(state: State) -> None:
    await state.register(GREET)
    await state.register(GREET, BILL)
    await state.rows("delete from cdc_state.workers where 'bill' = any (functions) returning 1")
    await state.register(GREET)
    assert await in_force(state) == (3, ["greet"])
    await state.register(BILL)
    assert await in_force(state) == (4, ["bill", "greet"])


async def test_registrations_at_the_same_time_take_turns(any_state: State) -> None:
    """Each locks the registry before any function, so that their order does not matter."""
    state = any_state
    await state.worker("greet", "bill")
    connections = [await state.connect(state.url) for _ in range(6)]
    orders = [[GREET, BILL], [BILL, GREET]] * 3
    changed = await asyncio.gather(*map(functions.register, connections, orders))
    assert sum(changed) == 1
    assert await in_force(state) == (1, ["bill", "greet"])


async def test_a_registration_waits_for_the_one_before_it(state: State) -> None:
    await state.worker("greet", "bill")
    first, second = await state.connect(state.url), await state.connect(state.url)
    async with first.transaction():
        await functions.register(first, [GREET])
        waiting = asyncio.create_task(functions.register(second, [BILL]))
        await state.waits_for_a_lock(second)
        # Readers do not wait, and see what is in force.
        assert await in_force(state) == (0, [])
    assert await waiting
    assert await in_force(state) == (2, ["bill", "greet"])
