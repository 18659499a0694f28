"""Many runs at once: cancelled and replayed in pages, paused and resumed."""

from __future__ import annotations

import asyncio

from cdc.events.hands import PAGE, Hands
from cdc.events.outbox import Outbox
from cdc.store import choice, notifications, pauses
from cdc.store.choice import Choice
from tests.store.state import State, definition


async def test_ten_thousand_queued_runs_are_cancelled_in_pages(state: State) -> None:
    await state.register(definition("greet"))
    await state.queue(10_000)
    await state.queue(10, "other")
    chosen = await choice.count(state.connection, Choice(functions=["greet"], statuses=["queued"]))
    later = await state.queue(1)

    pages = [page async for page in Hands(state.connection).cancel_all(chosen, "by hand")]

    assert chosen.runs == sum(page.done for page in pages) == 10_000
    assert {page.seen for page in pages} == {PAGE}
    left = await state.rows(
        "select function_id, count(*) from cdc_state.runs where ended_at is null group by 1 order by 1"
    )
    assert left == [("greet", 1), ("other", 10)]
    assert (await state.statuses())[later[0]] == ("queued", None)
    told = await state.one("select count(*) from cdc_state.events where name = 'inngest/function.cancelled'")
    assert told == 10_000


async def test_many_runs_are_replayed_in_pages(state: State) -> None:
    await state.register(definition("greet"))
    event = await state.one(
        "insert into cdc_state.events (id, name, ts, data) values (gen_random_uuid(), 'app/x', now(), '{}')"
        " returning id"
    )
    runs = await state.queue(1200)
    await state.connection.execute(
        "update cdc_state.runs set status = 'failed', ended_at = now(), event_ids = array[%s::uuid]", [event]
    )
    chosen = await choice.count(state.connection, Choice(statuses=["failed"]))
    pages = [page async for page in Hands(state.connection).replay_all(chosen)]

    assert [page.done for page in pages] == [500, 500, 200]
    replayed = await state.rows("select replays::text from cdc_state.runs where status = 'queued' order by id")
    assert [row[0] for row in replayed] == runs


async def test_two_who_cancel_the_same_runs_cancel_each_once(state: State) -> None:
    await state.register(definition("greet"))
    await state.queue(2000)
    chosen = await choice.count(state.connection, Choice(functions=["greet"]))
    others = await state.connect(state.url)

    async def cancel(hands: Hands) -> int:
        return sum([page.done async for page in hands.cancel_all(chosen, "by hand")])

    counts = await asyncio.gather(cancel(Hands(state.connection)), cancel(Hands(others)))
    assert sum(counts) == 2000
    assert await state.one("select count(*) from cdc_state.events") == 2000


async def test_an_accept_under_way_is_waited_for_before_a_function_is_paused(state: State) -> None:
    """Its runs were matched when the function was not paused: whoever looks for what to hold must see them."""
    await state.register(definition("greet", on="app/x"))
    accepting, pausing = await state.connect(state.url), await state.connect(state.url)
    outbox = Outbox()
    async with accepting.transaction():
        await accepting.execute(b"select pg_advisory_xact_lock_shared(1128, 0)")
        await outbox.refresh(accepting)
        held = asyncio.create_task(Hands(pausing).pause("greet"))
        await state.waits_for_a_lock(pausing)
        await state.queue(3)
    assert await held == 3


async def test_wherever_a_run_stands_before_its_start_it_stands_aside_and_in_a_turn_it_stays(state: State) -> None:
    await state.register(definition("greet"))
    at = {"queue": None, "full": "concurrency/0/greet/", "closed": "throttle/0/greet/", "turn": "turn/greet/a"}
    ids = dict(zip(at, await state.queue(4), strict=True))
    begun, other = (await state.queue(1))[0], (await state.queue(1, "other"))[0]
    for name, gate in at.items():
        await state.connection.execute("update cdc_state.runs set held_at = %s where id = %s", [gate, ids[name]])
    await state.connection.execute("update cdc_state.runs set started_at = now() where id = %s", [begun])

    assert await Hands(state.connection).pause("greet") == 3
    standing = dict(await state.rows("select id::text, held_at from cdc_state.runs"))
    aside = {ids[name]: "paused" for name in ("queue", "full", "closed")}
    assert standing == {**aside, ids["turn"]: at["turn"], begun: None, other: None}

    assert await Hands(state.connection).resume("greet") == 3
    standing = dict(await state.rows("select id::text, held_at from cdc_state.runs"))
    assert standing == {**dict.fromkeys(aside, None), ids["turn"]: at["turn"], begun: None, other: None}


async def test_pausing_twice_and_resuming_twice_changes_nothing_more(state: State) -> None:
    await state.register(definition("greet"))
    assert await pauses.set_paused(state.connection, "greet", paused=True)
    assert not await pauses.set_paused(state.connection, "greet", paused=True)
    assert await pauses.set_paused(state.connection, "greet", paused=False)
    assert not await pauses.set_paused(state.connection, "greet", paused=False)


async def test_a_paused_function_stays_paused_when_it_is_registered_again(state: State) -> None:
    await state.register(definition("greet"))
    await Hands(state.connection).pause("greet")
    await state.register(definition("greet", on="app/other"))
    assert await state.one("select paused_at is not null from cdc_state.functions")


async def test_a_notification_arrives(state: State) -> None:
    listening = await state.connect(state.url)
    await notifications.listen(listening)
    await notifications.notify(state.connection, "acted")
    assert await notifications.received(listening, within=60) == ["acted"]
