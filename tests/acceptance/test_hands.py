"""What people do with runs and functions from a shell, on a service that runs."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from cdc import Client, Event
from tests.acceptance.authored import effects, let_go
from tests.acceptance.conftest import Write
from tests.acceptance.service import cdc, refused, running
from tests.acceptance.state import completed, runs, status_is
from tests.servers import Connect, Connection
from tests.waiting import eventually

GREET = """
    from cdc import Context, function

    @function("greet", on="app/user.came", retries=0)
    async def greet(ctx: Context) -> str:
        ctx.logger.info("greeting", name=ctx.event.data["name"])
        {body}

    @function("approve", on="app/order.made")
    async def approve(ctx: Context) -> object:
        return await ctx.step.wait_for_signal("approval", "order-7", "1h")
"""
BROKEN = 'raise RuntimeError("not yet written")'
MENDED = """return "Hello, " + ctx.event.data["name"]"""


async def test_a_run_in_flight_is_cancelled_within_a_moment(
    patient: Connection, database_url: str, functions: Path
) -> None:
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions) as service:
        await patient.execute("insert into users (name) values ('Ada')")
        await eventually(lambda: effects(functions) == ["first", "second"])
        (run,) = await runs(patient)
        done = await cdc("cancel", run.id, DATABASE_URL=database_url)
        assert (done.code, done.out) == (0, f"{run.id} is cancelled.\n")
        await status_is(patient, "cancelled")

        async def let_go_of() -> bool:
            cursor = await patient.execute("select worker_id is null from cdc_state.runs")
            return await cursor.fetchone() == (True,)

        await eventually(let_go_of, what="the worker let go of it")
        let_go(functions)
        assert (await cdc("cancel", run.id, DATABASE_URL=database_url)).code == 1
        await service.stop()
    assert effects(functions) == ["first", "second"]
    assert not (await patient.execute("select from cdc_state.steps where id = 'second'")).rowcount
    assert [each.status for each in await runs(patient)] == ["cancelled"]


async def test_failed_runs_are_replayed_after_the_code_was_mended(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    conn = await connect(database_url)
    here = {"DATABASE_URL": database_url}
    write("greet.py", GREET.format(body=BROKEN))
    async with running(CDC_FUNCTIONS=functions, **here) as service:
        ids = await Client(service.url).send([Event("app/user.came", {"name": name}) for name in ("Ada", "Grace")])
        assert len(ids) == 2

        async def failed() -> bool:
            return [run.status for run in await runs(conn)] == ["failed", "failed"]

        await eventually(failed)
    write("greet.py", GREET.format(body=MENDED))
    async with running(CDC_FUNCTIONS=functions, **here):
        first, second = await runs(conn)
        done = await cdc("replay", first.id, **here)
        assert (done.code, "is replayed by" in done.out) == (0, True)
        asked = await cdc("replay", "--function", "greet", "--since", "1h", **here)
        assert (asked.code, asked.out) == (1, "Replay 2 runs? [y/N] Nothing was changed.\n")
        done = await cdc("replay", "--function", "greet", "--since", "1h", "--yes", **here)
        assert (done.code, done.out) == (0, "2 runs are replayed.\n")
        done = await cdc("replay", first.id, "--data", '{"name": "Lin"}', **here)
        assert (done.code, "is replayed by" in done.out) == (0, True)
        done = await cdc("replay", first.id, "--from-step", "pack", **here)
        assert (done.code, "it has no step 'pack'" in done.out) == (1, True)

        async def all_done() -> bool:
            outputs = sorted(str(run.output) for run in await runs(conn) if run.status == "completed")
            return outputs == ["Hello, Ada", "Hello, Ada", "Hello, Grace", "Hello, Lin"]

        await eventually(all_done)

    listed = await cdc("runs", "--function", "greet", "--status", "failed", **here)
    assert (listed.code, first.id in listed.out, second.id in listed.out) == (0, True, True)
    shown = await cdc("runs", first.id, **here)
    for part in ("RuntimeError: not yet written", "greeting", "name=Ada", ids[0]):
        assert part in shown.out, part
    event = await cdc("events", ids[0], **here)
    assert event.out.count("Hello, Ada") == 2
    assert ids[0] in (await cdc("events", "--name", "app/user.came", **here)).out
    assert "no such" in (await cdc("events", "--name", "app/never", **here)).out


async def test_a_function_is_paused_resumed_invoked_and_signalled(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    conn = await connect(database_url)
    here = {"DATABASE_URL": database_url}
    write("greet.py", GREET.format(body=MENDED))
    async with running(CDC_FUNCTIONS=functions, **here) as service:
        assert (await cdc("pause", "greet", **here)).code == 0
        sent = await cdc("send", "app/user.came", '{"name": "Ada"}', "--id", "ada", "--user", '{"n": 1}', **here)
        assert sent.code == 0
        await status_is(conn, "queued")
        assert (await cdc("invoke", "greet", '{"name": "Grace"}', **here)).code == 0
        (function,) = [each for each in (await service.get("/v1/functions")).json()["data"] if each["id"] == "greet"]
        assert function["paused_at"] is not None
        done = await cdc("resume", "greet", **here)
        assert done.out == "greet goes on; 2 runs had waited.\n"
        assert {run.output for run in await completed(conn, 2)} == {"Hello, Ada", "Hello, Grace"}

        assert (await cdc("signal", "order-7", **here)).code == 1
        await Client(service.url).send(Event("app/order.made"))

        async def waits() -> bool:
            return [run.status for run in await runs(conn)][-1] == "waiting"

        await eventually(waits)
        done = await cdc("signal", "order-7", '{"by": "Ada"}', **here)
        assert (done.code, "goes on" in done.out) == (0, True)
        assert (await completed(conn, 3))[-1].output == {"by": "Ada"}


async def test_events_need_the_key_that_is_set(database_url: str) -> None:
    async with running(DATABASE_URL=database_url, CDC_EVENT_KEY="first, second") as service:
        assert len(await Client(service.url, "second").send(Event("app/x"))) == 1
        async with httpx.AsyncClient(base_url=service.url, trust_env=False, timeout=30) as client:
            answer = await client.post("/e/wrong", json={"name": "app/x"})
        assert (answer.status_code, answer.json()["status"]) == (401, 401)
        assert "second" not in service.output


async def test_many_runs_are_cancelled_by_what_they_are(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    conn = await connect(database_url)
    here = {"DATABASE_URL": database_url}
    write("greet.py", GREET.format(body=MENDED))
    async with running(CDC_FUNCTIONS=functions, CDC_WORKERS="0", **here) as service:
        await conn.execute(
            "insert into cdc_state.functions (id, definition) values ('greet', %s)",
            [json.dumps({"id": "greet", "triggers": [{"event": "app/user.came"}]})],
        )
        await conn.execute("update cdc_state.registry set version = version + 1")
        await Client(service.url).send([Event("app/user.came", {"name": "Ada"})] * 700)
        done = await cdc("cancel", "--function", "greet", "--status", "queued", "--yes", **here)
        assert (done.code, done.out, done.err) == (0, "700 runs are cancelled.\n", "")
        done = await cdc("cancel", "--function", "greet", **here)
        assert (done.code, done.out) == (0, "There are no such runs.\n")
    assert {run.status for run in await runs(conn)} == {"cancelled"}


@pytest.mark.parametrize(
    ("command", "says", "hint"),
    [
        ("cancel", "Which runs?", "--function"),
        ("cancel nonsense", "not the id of a run", "cdc runs"),
        ("cancel 00000000-0000-7000-8000-000000000000 --status queued", "not both", "--help"),
        ("replay --since soon", "--since: not a moment", "--help"),
        ("replay --status done", "no status 'done'", "completed"),
        ("runs --limit 0", "--limit must be 1", "20"),
        ("events nonsense", "not the id of an event", "cdc events"),
        ("pause nobody", "no function 'nobody'", "once a service"),
        ("resume nobody", "no function 'nobody'", "once a service"),
        ("invoke nobody", "no function 'nobody'", "once a service"),
        ("invoke greet []", "not a JSON object", "Write it like"),
        ("signal order-7 {", "not a JSON object", "Write it like"),
        ("send app/x {} --ts soon", "--ts: not a moment", "--help"),
        ("send app/x {} --user []", "user of an event is a JSON object", "Write it like"),
    ],
)
async def test_what_makes_no_sense_is_refused(command: str, says: str, hint: str, migrated_url: str) -> None:
    await refused(*command.split(), code=78, says=says, hint=hint, DATABASE_URL=migrated_url)


@pytest.mark.parametrize("command", ["runs", "events"])
async def test_one_that_is_not_there_is_told(command: str, migrated_url: str) -> None:
    done = await cdc(command, "00000000-0000-7000-8000-000000000000", DATABASE_URL=migrated_url)
    assert (done.code, "There is no such" in done.out) == (1, True)
