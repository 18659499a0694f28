"""Apps and services that end in the middle of a run, hang, or change their keys."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from psycopg import AsyncConnection

from cdc.client import Client
from tests.acceptance.service import Service, Settings, running
from tests.ports import free_port
from tests.sdk.apps import App, fresh, started
from tests.sdk.world import World
from tests.servers import Servers
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEYS = [f"signkey-prod-{letter * 2 * 32}" for letter in "abc"]
EVENT_KEY = "an-event-key-of-the-test"

MISSED = """
    insert into cdc_state.schedules (function_id, cron, timezone, next_at)
    select id, '0 3 1 1 *', 'Europe/Berlin', now() from cdc_state.functions where id like '%-yearly'
    on conflict (function_id, cron, timezone) do update set next_at = excluded.next_at
"""


@pytest_asyncio.fixture(loop_scope="session")
async def database(servers: Servers) -> AsyncIterator[str]:
    server = await servers.get("18")
    url = await server.create_database()
    yield url
    await server.drop_database(url)


@pytest.mark.parametrize("kind", ["py", "js3", "js4"])
async def test_an_app_that_dies_in_a_step_takes_it_again_when_it_is_back(
    kind: str, world: World, tmp_path: Path
) -> None:
    mine, name, gate = fresh(), f"dies-{kind}", tmp_path / "open"
    effects, environment = tmp_path / "effects", {"GATE": str(gate)}
    moves = kind == "js3"
    port = 0 if moves else free_port()
    async with started(kind, world.service.url, effects, name=name, port=port, environment=environment) as app:
        await app.sync()
        event = await app.send("patient", id=mine)
        await app.notes(mine, "first", "gate")
    gate.touch()
    async with started(kind, world.service.url, effects, name=name, port=port, environment=environment) as app:
        if moves:
            await app.sync()
        (run,) = await app.runs(event)
    assert (run["status"], run["output"]) == ("completed", "second")
    assert app.noted(mine) == ["first", "gate", "gate", "second"]


async def test_a_service_that_is_killed_goes_on_with_the_runs_of_apps(database: str, tmp_path: Path) -> None:
    mine, gate, port = fresh(), tmp_path / "open", free_port()
    async with AsyncExitStack() as opened:
        apps: list[App] = []
        for kind in ("py", "js4"):
            block = started(kind, f"http://127.0.0.1:{port}", tmp_path / kind, environment={"GATE": str(gate)})
            apps.append(await opened.enter_async_context(block))
        settings: Settings = {"DATABASE_URL": database, "CDC_FUNCTIONS": tmp_path, "CDC_LEASE": "60"}
        settings |= {"CDC_PORT": str(port), "CDC_APPS": ", ".join(app.url for app in apps)}
        async with running(**settings) as service:
            await service.logs("app synced", times=2)
            events = [await app.send("patient", id=mine) for app in apps]
            for app in apps:
                await app.notes(mine, "first", "gate")
            await service.kill()
        await time_passes(database)
        gate.touch()
        async with running(**settings):
            for app, event in zip(apps, events, strict=True):
                (run,) = await app.runs(event)
                assert (run["status"], run["output"]) == ("completed", "second")
                assert app.noted(mine).count("first") == 1
                assert app.noted(mine)[-1] == "second"
                await app.notes("yearly", "inngest/scheduled.timer")


async def time_passes(database: str) -> None:
    """While there is no service, its lease runs out, and the moment of the apps' crons comes."""
    async with await AsyncConnection.connect(database, autocommit=True) as conn:
        await conn.execute("update cdc_state.workers set lease_until = now() - interval '1 s'")
        await conn.execute(MISSED)


async def test_an_app_that_hangs_delays_nobody_else(world: World, tmp_path: Path) -> None:
    other, mine = await world.app("py"), fresh()
    async with started("js4", world.service.url, tmp_path / "effects", name="hangs") as app:
        await app.sync()
        app.process.send_signal(signal.SIGSTOP)
        for number in range(20):
            await app.send("receives", id=mine, number=number)
        assert (await other.output("steps", id=fresh()))["two"] == 2
        (event,) = await Client(world.service.url).send({"name": "native/triples", "data": {"number": 2}})
        (run,) = await other.runs(event)
        assert run["output"] == 6
        assert app.noted(mine) == []

        app.process.send_signal(signal.SIGCONT)
        await eventually(lambda: len(app.noted(mine)) == 20, within=60, what="the app has done what it was asked")


@pytest.mark.parametrize("kind", ["py", "js3", "js4"])
async def test_an_app_may_stream_its_answers(kind: str, world: World, tmp_path: Path) -> None:
    environment = {"INNGEST_STREAMING": "true" if kind == "js4" else "force"}
    async with started(kind, world.service.url, tmp_path / "e", name=f"streams-{kind}", environment=environment) as app:
        await app.sync()
        assert (await app.output("steps", id=fresh()))["two"] == 2
        failed, retried = await asyncio.gather(app.run("fails", id=fresh()), app.run("retries", id=fresh()))
        assert (failed["status"], failed["error"]["message"]) == ("failed", "nothing to be done")
        assert retried["output"] == {"step": "done", "attempt": 1}


async def test_keys_are_changed_without_a_pause(database: str, tmp_path: Path) -> None:
    """First the apps learn the new key, then the service signs with it, then the old one is forgotten."""
    settings: Settings = {"DATABASE_URL": database, "CDC_FUNCTIONS": tmp_path, "CDC_EVENT_KEY": EVENT_KEY}
    settings |= {"CDC_APP_HOSTS": "127.0.0.1, localhost"}
    old, new, wrong = KEYS
    async with running(**settings, CDC_SIGNING_KEY=old) as service:
        await works(service, tmp_path, {"INNGEST_SIGNING_KEY": new, "INNGEST_SIGNING_KEY_FALLBACK": old})
        await refused(service, tmp_path, {"INNGEST_SIGNING_KEY": wrong})
    async with running(**settings, CDC_SIGNING_KEY=new, CDC_SIGNING_KEY_FALLBACK=old) as service:
        await works(service, tmp_path, {"INNGEST_SIGNING_KEY": new})


async def works(service: Service, folder: Path, keys: dict[str, str]) -> None:
    """Apps with these keys register, are called, and call nobody unsigned."""
    for kind in ("py", "js3", "js4"):
        async with started(kind, service.url, folder / kind, environment=cloud(service, keys)) as app:
            await app.sync()
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                unsigned = await client.post(f"{app.url}?fnId={kind}-steps&stepId=step", json={})
            assert unsigned.status_code == 401
            mine = fresh()
            client_of_app = Client(service.url, EVENT_KEY)
            (event,) = await client_of_app.send({"name": f"{kind}/sends", "data": {"id": mine}})
            (run,) = await app.runs(event)
            assert run["output"] == {"sent": 2}


async def refused(service: Service, folder: Path, keys: dict[str, str]) -> None:
    block = started("py", service.url, folder / "refused", environment=cloud(service, keys))
    async with block as app, httpx.AsyncClient(trust_env=False, timeout=30) as client:
        assert "INNGEST_SIGNING_KEY" in (await client.put(app.url)).text


def cloud(service: Service, keys: dict[str, str]) -> dict[str, str]:
    return {"INNGEST_DEV": "0", "INNGEST_BASE_URL": service.url, "INNGEST_EVENT_KEY": EVENT_KEY, **keys}
