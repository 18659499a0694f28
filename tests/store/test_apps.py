"""Apps and their functions: written together, one after the other, and never over somebody else's."""

from __future__ import annotations

import asyncio

import pytest

from cdc.errors import ConfigurationError
from cdc.store import apps, functions
from cdc.store.apps import Told
from tests.store.state import State, definition

URL = "http://localhost:3000/api/inngest"


def shop(*ids: str, name: str = "shop", url: str | None = URL, version: str = "1") -> Told:
    return Told(name, url, "py:v0.5", "fast_api", version, [{**definition(id_), "app": name} for id_ in ids])


async def in_force(state: State) -> list[str]:
    return [each["id"] for each in (await functions.registered(state.connection))[1]]


async def test_the_registry_moves_only_when_an_app_tells_something_new(any_state: State) -> None:
    conn = any_state.connection
    assert (await apps.sync(conn, shop("a", "b"))).modified
    assert await functions.version(conn) == 1
    assert not (await apps.sync(conn, shop("a", "b"))).modified
    assert (await apps.sync(conn, shop("a", "b", version="2"))).modified
    assert await functions.version(conn) == 2
    await apps.sync(conn, shop("b", "c"))
    assert await functions.version(conn) == 3
    assert await in_force(any_state) == ["b", "c"]
    assert [tuple(each) for each in await apps.served(conn)] == [("shop", URL, "py:v0.5")]


async def test_a_worker_that_starts_or_is_gone_leaves_the_functions_of_apps(state: State) -> None:
    await apps.sync(state.connection, shop("a"))
    await state.register(definition("greet"))
    await state.rows("delete from cdc_state.workers returning 1")
    await functions.register(state.connection, [])
    assert await in_force(state) == ["a"]


async def test_nobody_takes_an_id_that_is_in_force_but_an_archived_one_anybody(state: State) -> None:
    conn = state.connection
    await apps.sync(conn, shop("a"))
    with pytest.raises(ConfigurationError, match="'a' is here, and one of the same id is of the app 'shop'"):
        await state.register(definition("b"), definition("a"))
    with pytest.raises(ConfigurationError, match="of the app 'shop'"):
        await apps.sync(conn, shop("c", "a", name="mall", url=f"{URL}2"))
    assert await in_force(state) == ["a"]
    assert [row["name"] for row in await apps.listed(conn)] == ["shop"]
    assert await apps.remove(conn, "shop")
    assert not await apps.remove(conn, "shop")
    await state.register(definition("a"))
    assert await in_force(state) == ["a"]
    assert await apps.served(conn) == []
    with pytest.raises(ConfigurationError, match="runs in the service itself"):
        await apps.sync(conn, shop("a"))


async def test_a_row_known_by_url_becomes_the_app_that_answers(state: State) -> None:
    conn = state.connection
    known = await apps.add(conn, URL)
    assert await apps.add(conn, URL) == known
    await apps.fail(conn, known, "refuses connections")
    assert [(each.id, each.name) for each in await apps.wanted(conn)] == [(known, None)]
    assert (await apps.sync(conn, shop("a"))).id == known
    ((row,)) = await apps.listed(conn)
    assert (row["name"], row["error"]) == ("shop", None)
    # Another address of the same app: the row that it was asked by is of no use any more.
    other = await apps.add(conn, f"{URL}2")
    assert (await apps.sync(conn, shop("a"), other)).id == known
    assert await apps.tried(conn, other) is None
    # Asked at an address that it does not call its own.
    elsewhere = await apps.add(conn, f"{URL}3")
    assert (await apps.sync(conn, shop("b", name="mall", url=f"{URL}4"), elsewhere)).id == elsewhere


async def test_an_app_that_was_removed_while_it_was_asked_is_not_brought_back_by_its_answer(state: State) -> None:
    conn = state.connection
    known = await apps.add(conn, URL)
    await apps.sync(conn, shop("a"), known)
    assert await apps.remove(conn, "shop")
    with pytest.raises(ConfigurationError, match="removed while it was asked"):
        await apps.sync(conn, shop("a"), known)
    assert (await in_force(state), await apps.listed(conn)) == ([], [])
    # What it tells unasked, it is there by.
    await apps.sync(conn, shop("a"))
    assert await in_force(state) == ["a"]
    assert not (await apps.sync(conn, shop("a"), known)).modified, "it has another row by now"


async def test_apps_that_connect_have_no_url_and_do_not_meet(state: State) -> None:
    conn = state.connection
    for name in ("mall", "shop"):
        await apps.sync(conn, shop(f"{name}-a", name=name, url=None))
    assert [(row["name"], row["url"]) for row in await apps.listed(conn)] == [("mall", None), ("shop", None)]
    assert await apps.wanted(conn) == []
    assert await apps.ask(conn, "shop") is None


async def test_syncs_at_the_same_time_take_turns_with_each_other_and_with_workers(any_state: State) -> None:
    state = any_state
    await state.worker("greet")
    connections = [await state.connect(state.url) for _ in range(6)]
    same = [apps.sync(conn, shop("b", "a")) for conn in connections[:3]]
    native = [functions.register(conn, [definition("greet")]) for conn in connections[3:]]
    await asyncio.gather(*same, *native)
    assert await in_force(state) == ["a", "b", "greet"]
    assert await functions.version(state.connection) == 2
