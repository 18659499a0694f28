"""Several services on one state database: one listens, all work, and each may die."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals
from textwrap import dedent
from typing import Any

import pytest

from tests.acceptance.authored import WELCOME, effects, let_go
from tests.acceptance.conftest import Write
from tests.acceptance.service import Settings, cdc, refused, roles, running, started
from tests.acceptance.state import USERS, completed, follows, slots_are_free
from tests.servers import Connect, Connection, Server, Servers
from tests.waiting import eventually


async def test_the_state_may_live_on_another_server(
    connect: Connect, servers: Servers, database_url: str, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    other = await servers.get("15")
    state_url = await other.create_database()
    urls: Settings = {"DATABASE_URL": database_url, "CDC_STATE_DATABASE_URL": state_url}
    watched, state = await connect(database_url), await connect(state_url)
    await watched.execute(USERS)
    async with running(**urls, CDC_FUNCTIONS=functions) as service:
        await watched.execute("insert into users (name) values ('Ada')")
        (run,) = await completed(state)
        assert (await service.get("/v1/runs")).json()["data"][0]["id"] == run.id
        shown = await cdc("slot", "status", **urls)
        assert shown.out.count("there is none") == 0, shown.out
        await service.stop()
    assert await schemas(watched) == ["cdc"]
    assert await schemas(state) == ["cdc_state"]
    await slots_are_free(watched)
    assert (await cdc("slot", "drop", "--yes", **urls)).code == 0
    cursor = await state.execute("select from cdc_state.sources where retired_at is null")
    assert cursor.rowcount == 0
    await other.drop_database(state_url)


async def test_a_state_url_that_leads_nowhere_is_told_by_its_own_name(database_url: str) -> None:
    await refused(
        *("slot", "status"),
        code=69,
        says="127.0.0.1:1/state",
        hint="CDC_STATE_DATABASE_URL",
        DATABASE_URL=database_url,
        CDC_STATE_DATABASE_URL="postgresql://somebody@127.0.0.1:1/state",
    )


async def test_three_services_started_at_once_on_a_new_database_share_it(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(USERS)
    await conn.execute("create table notes (id bigint primary key, body text)")
    settings: Settings = {
        "DATABASE_URL": database_url,
        "CDC_FUNCTIONS": functions,
        "CDC_EMBED": "notes(body)",
        "CDC_EMBED_MODEL": "local-fast/wordllama",
    }
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(started(**settings)) for _ in range(3)]
        await asyncio.gather(*(service.logs("api", within=60) for service in services))

        async def one_listens() -> bool:
            answers = [(await service.get("/readyz")).json() for service in services]
            assert [answer["ready"] for answer in answers] == [True] * 3
            return [answer["listening"] for answer in answers].count(True) == 1

        await eventually(one_listens)
        await conn.execute("insert into users (name) select 'user ' || n from generate_series(1, 30) n")
        await completed(conn, 30)
        assert len([each for service in services for each in service.logged("source opened")]) == 1
        for service in services:
            await service.stop()


async def test_a_service_that_stands_by_takes_over_when_the_listener_is_killed(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(USERS)
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions}
    async with started(**settings) as first, started(**settings) as second:
        listener, standby = await roles(first, second)
        await conn.execute("insert into users (name) select 'before ' || n from generate_series(1, 20) n")
        await listener.kill()
        await conn.execute("insert into users (name) select 'after ' || n from generate_series(1, 20) n")
        await standby.logs("listening")
        assert len(standby.logged("standing by")) == 1
        done = await completed(conn, 40)
        assert len({run.output["said"][0] for run in done}) == 40
        await standby.stop()


async def test_a_listener_that_was_frozen_stands_by_when_it_wakes_up(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(USERS)
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions}
    async with started(**settings) as first, started(**settings) as second:
        listener, standby = await roles(first, second)
        listener.send(SIGSTOP)
        await conn.execute("select pg_terminate_backend(active_pid) from pg_replication_slots where active_pid > 0")
        await standby.logs("listening")
        await conn.execute("insert into users (name) select 'x' from generate_series(1, 20) n")
        await completed(conn, 20)
        listener.send(SIGCONT)
        await listener.logs("standing by")
        await standby.stop()
        await listener.logs("listening", times=2)
        await listener.stop()


async def test_parts_of_a_service_may_run_apart_and_wake_each_other(
    connect: Connect, database_url: str, functions: Path, write: Write, only_woken: Settings
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(USERS)
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions, **only_woken}
    async with started("--only", "worker", **settings) as worker:
        await worker.logs("waiting for a listener to open the source")
        assert not worker.logged("api")
        async with running("--only", "listener", **settings), running("--only=web", **settings) as web:
            await worker.logs("api")
            assert (await worker.get("/readyz")).json() == {"ready": True, "listening": False}
            assert (await worker.get("/v1/runs")).status_code == 404
            for count in (1, 2, 3):
                await conn.execute("insert into users (name) values ('Ada')")
                await completed(conn, count)
            assert len((await web.get("/v1/runs")).json()["data"]) == 3
        await worker.stop()


async def test_a_worker_alone_needs_no_right_to_replicate(
    connect: Connect, server: Server, database_url: str, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(USERS)
    name = database_url.rpartition("/")[2]
    role = f"w_{name}"
    await conn.execute(f"create role {role} login password 'open-sesame'".encode())
    as_role = f"postgresql://{role}:open-sesame@{database_url.rpartition('@')[2]}"
    async with running("--only", "listener,web", DATABASE_URL=database_url):
        await conn.execute(f"grant usage on schema cdc, cdc_state to {role}".encode())
        await conn.execute(f"grant all on all tables in schema cdc, cdc_state to {role}".encode())
        async with running("--only", "worker", DATABASE_URL=as_role, CDC_FUNCTIONS=functions, CDC_SLOT=name) as worker:
            # Its function is new to the listener, which publishes the table when it hears of it.
            await follows(conn, "users")
            await conn.execute("insert into users (name) values ('Ada')")
            await completed(conn)
            await worker.stop()
    await conn.execute(f"drop owned by {role}; drop role {role}".encode())


async def test_a_worker_of_a_copy_claims_nothing(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    async with running(DATABASE_URL=database_url):
        pass
    await conn.execute("update cdc_state.sources set system_identifier = '1'")
    await refused(
        *("run", "--only", "worker"),
        code=65,
        says="another server or timeline",
        hint="cdc slot drop",
        DATABASE_URL=database_url,
    )


async def test_runs_that_a_worker_makes_wake_the_workers_of_other_services(
    connect: Connect, database_url: str, tmp_path: Path, only_woken: Settings
) -> None:
    sends, takes = tmp_path / "sends", tmp_path / "takes"
    for folder, text in ((sends, SENDS), (takes, TAKES)):
        folder.mkdir()
        (folder / "function.py").write_text(dedent(text))
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with (
        running(DATABASE_URL=database_url, CDC_FUNCTIONS=sends, **only_woken),
        running("--only", "worker", DATABASE_URL=database_url, CDC_FUNCTIONS=takes, **only_woken),
    ):
        for count in (2, 4, 6):
            await conn.execute("insert into users (name) values ('Ada')")
            await completed(conn, count)


SENDS = """
    from cdc import Context, Event, function

    @function("sends", on="db/users.inserted")
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("send", Event("app/sent", {}))
"""

TAKES = """
    from cdc import Context, function

    @function("takes", on="app/sent")
    async def takes(ctx: Context) -> str:
        return "taken"
"""


async def test_a_notification_by_hand_wakes_the_workers(
    patient: Connection, database_url: str, functions: Path, only_woken: Settings
) -> None:
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions, **only_woken):
        let_go(functions)
        await patient.execute("insert into users (name) values ('Ada')")
        for count in (1, 2, 3):
            await completed(patient, count)
            await patient.execute(
                "insert into cdc_state.runs (id, function_id, event_ids)"
                " select gen_random_uuid(), function_id, event_ids from cdc_state.runs limit 1"
            )
            await patient.execute("notify cdc, 'by hand'")
        await completed(patient, 4)


@pytest.mark.parametrize("number", [SIGTERM, SIGKILL])
async def test_what_a_service_gives_back_when_it_ends_goes_on_elsewhere_at_once(
    patient: Connection, database_url: str, functions: Path, number: Signals, only_woken: Settings
) -> None:
    settings: Settings = {
        "DATABASE_URL": database_url,
        "CDC_FUNCTIONS": functions,
        "CDC_SHUTDOWN_TIMEOUT": "0.1",
        **only_woken,
    }
    async with started(**settings) as first, started(**settings) as second:
        await roles(first, second)
        await patient.execute("insert into users (name) values ('Ada')")
        await eventually(lambda: effects(functions) == ["first", "second"])
        (at_work,) = await holders(patient)
        holder, other = (first, second) if parent_of(at_work) == first.pid else (second, first)
        holder.send(number)
        await holder.ended()
        await eventually(lambda: effects(functions) == ["first", "second", "second"])
        let_go(functions)
        await completed(patient)
        await other.stop()


A_LEASE = 30
"""Seconds: a machine that stands still for a while ends none, and a heartbeat comes within ten."""

AN_HOUR_AHEAD = """
    import os, time
    from pathlib import Path
    Path(__file__).with_name(f"loaded-{os.getpid()}").touch()
    _time, _time_ns = time.time, time.time_ns
    time.time = lambda: _time() + 3600.0
    time.time_ns = lambda: _time_ns() + 3600 * 10**9
"""


async def test_a_service_whose_clock_is_wrong_by_an_hour_works_beside_one_whose_clock_is_right(
    connect: Connect, database_url: str, functions: Path, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("welcome.py", WELCOME)
    (tmp_path / "sitecustomize.py").write_text(dedent(AN_HOUR_AHEAD))
    conn = await connect(database_url)
    await conn.execute(USERS)
    settings: Settings = {"DATABASE_URL": database_url, "CDC_FUNCTIONS": functions, "CDC_LEASE": str(A_LEASE)}
    path = ":".join(filter(None, (str(tmp_path), str(Path(__file__).parents[2]))))
    async with started("--only", "worker", **settings) as right:
        # Its lease is there when the other looks for those that ran out, first thing.
        await right.logs("waiting for a listener to open the source")
        async with started(**settings, PYTHONPATH=path) as wrong:
            await asyncio.gather(wrong.logs("api"), right.logs("api"))
            assert len(files(tmp_path, "loaded-*")) == 2, "the service and its worker are ahead"
            before = await leases(conn)
            for count in range(20, 101, 20):
                await conn.execute("insert into users (name) select 'x' from generate_series(1, 20)")
                await completed(conn, count)
            cursor = await conn.execute(
                "select count(distinct worker_id) from cdc_state.runs"
                " where created_at > now() + interval '1 minute' or ended_at > now() + interval '1 minute'"
            )
            assert await cursor.fetchone() == (0,)

            async def are_renewed() -> bool:
                now = await leases(conn)
                return all(now.get(worker, 0.0) > until for worker, until in before.items())

            await eventually(are_renewed, what="both workers keep their leases")
            cursor = await conn.execute(
                "select max(lease_until) <= now() + make_interval(secs => %s) from cdc_state.workers", [A_LEASE]
            )
            assert await cursor.fetchone() == (True,)
            for service in (wrong, right):
                assert not service.logged("rescued")
                assert not service.logged("worker starts over")


async def test_a_worker_that_dies_before_it_is_ready_is_started_again(
    database_url: str, write: Write, functions: Path
) -> None:
    write(
        "dies_once.py",
        """
        import os
        from pathlib import Path

        LIVED = Path(__file__).with_name("lived")
        if not LIVED.exists():
            LIVED.touch()
            os._exit(3)
        """,
    )
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions) as service:
        (told,) = service.logged("worker process cannot start")
        assert "code 3" in told["reason"]


async def test_only_takes_the_parts_there_are() -> None:
    await refused("run", "--only", "worker,wab", code=78, says="'wab'", hint="listener, worker and web")
    await refused("run", "--only", "web", "--reload", code=78, says="--reload", hint="one of the two")


async def leases(conn: Connection) -> dict[int, float]:
    """Until when the workers hold theirs, in seconds since 1970."""
    cursor = await conn.execute("select id, extract(epoch from lease_until)::float8 from cdc_state.workers")
    return dict(await cursor.fetchall())


async def holders(conn: Connection) -> list[int]:
    """The process ids of the workers that execute something."""
    cursor = await conn.execute(
        "select w.pid from cdc_state.runs r join cdc_state.workers w on w.id = r.worker_id where r.status = 'running'"
    )
    return [pid for (pid,) in await cursor.fetchall()]


def files(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def schemas(conn: Connection) -> list[Any]:
    cursor = await conn.execute("select nspname::text from pg_namespace where nspname like 'cdc%' order by 1")
    return [name for (name,) in await cursor.fetchall()]
