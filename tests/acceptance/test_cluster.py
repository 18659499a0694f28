"""The way out: row events go on to a cluster, and the very same function files run for it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.acceptance.authored import WELCOME
from tests.acceptance.conftest import Write
from tests.acceptance.service import Service, Setting, going, refused, running
from tests.acceptance.state import USERS, completed
from tests.cluster.harness import Cluster
from tests.servers import Connect
from tests.waiting import eventually

NOWHERE = "postgresql://somebody:open-sesame@127.0.0.1:1/app"

WRITES = """
    from cdc import Context, function

    @function("writes", on="db/users.inserted")
    async def writes(ctx: Context) -> str:
        name = ctx.event.data["new"]["name"]

        async def write(conn):
            await conn.execute("insert into greeted values (%s)", [name])
            return f"greeted {name}"

        return await ctx.step.transaction("write", write)
"""


@asynccontextmanager
async def serving(**settings: Setting) -> AsyncIterator[Service]:
    """`cdc serve --inngest`; `url` is that of its functions."""
    async with going("serve", "--inngest", "--port", "0", **settings) as served:
        yield served
        await served.stop()


async def test_rows_reach_functions_on_a_cluster_by_way_of_this_service(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("writes.py", WRITES)
    conn = await connect(database_url)
    await conn.execute(USERS)
    await conn.execute("create table greeted (name text)")
    async with Cluster().open() as cluster:
        serve = serving(DATABASE_URL=database_url, CDC_FUNCTIONS=functions, INNGEST_DEV=cluster.url)
        listen = running(
            DATABASE_URL=database_url,
            CDC_TABLES="users",
            CDC_WORKERS="0",
            CDC_FORWARD="inngest",
            INNGEST_DEV=cluster.url,
        )
        async with serve as served, listen as service:
            cluster.app_url = str((await served.logs("functions are served"))[0]["url"])
            assert list(await cluster.sync()) == ["cdc-writes"]
            await conn.execute("insert into users (name) values ('Ada')")
            event = (await eventually(lambda: cluster.sent, what="the row reaches the cluster"))[0]
            ended = await cluster.run("cdc-writes", event)

            async def nothing_waits() -> bool:
                return 'cdc_forward_waiting{source="default"} 0.0' in (await service.get("/metrics")).text

            # What is measured is measured once a minute.
            await eventually(nothing_waits, within=90, what="the cursor stands behind the row that was sent")

    assert event["name"] == "db/users.inserted"
    assert ended.output == "greeted Ada"
    assert await (await conn.execute("select name from greeted")).fetchall() == [("Ada",)]


BRANCHES = """
    import asyncio

    from cdc import Context, Event, NonRetriableError, StepError, function

    async def one(name: str) -> str:
        return name

    async def breaks() -> None:
        raise NonRetriableError("never")

    @function("branches", on="db/users.inserted", retries=1)
    async def branches(ctx: Context) -> list[object]:
        async def branch(name: str) -> str:
            first = await ctx.step.run(f"{name}1", one, f"{name}1")
            await ctx.step.sleep(f"{name}-nap", "1s" if name == "a" else "100ms")
            return first + await ctx.step.run(f"{name}2", one, f"{name}2")

        found: list[object] = list(await asyncio.gather(branch("a"), branch("b")))
        try:
            await ctx.step.run("breaks", breaks)
        except StepError as error:
            found.append([error.name, error.message])
        same = "async.data.id == event.data.new.id"
        waiting = asyncio.create_task(ctx.step.wait_for_event("answer", "app/answer", "1m", if_exp=same))
        await ctx.step.send_event("ask", Event("app/ask", {"id": ctx.event.data["new"]["id"]}))
        answer = await waiting
        found.append(answer and answer.data["said"])
        found.append(await ctx.step.invoke("child", "child", {"n": 20}))
        return found

    @function("answers", on="app/ask")
    async def answers(ctx: Context) -> None:
        await ctx.step.send_event("answer", Event("app/answer", {"id": ctx.event.data["id"], "said": "yes"}))

    @function("child", on="app/child")
    async def child(ctx: Context) -> int:
        return await ctx.step.run("double", lambda: ctx.event.data["n"] * 2)
"""


async def test_the_same_files_run_for_another_cdc(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    write("branches.py", BRANCHES)
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with (
        running(DATABASE_URL=database_url, CDC_TABLES="users") as service,
        serving(DATABASE_URL=database_url, CDC_FUNCTIONS=functions, INNGEST_DEV=service.url) as served,
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
    ):
        url = str((await served.logs("functions are served"))[0]["url"])
        assert (await client.put(url)).status_code == 200
        await conn.execute("insert into users (name) values ('Ada')")
        done = {run.function: run.output for run in await completed(conn, 4)}

    assert done["cdc-welcome"] == {"said": ["Hello, Ada!", "Ada, read the docs."], "event": "db/users.inserted"}
    assert done["cdc-branches"] == ["a1a2", "b1b2", ["NonRetriableError", "never"], "yes", 40]


async def test_what_cannot_be_served_or_sent_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "inngest.py").write_text("raise ModuleNotFoundError('No module named inngest', name='inngest')")
    without = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"

    await refused("serve", code=78, says="does not know for whom", hint="cdc serve --inngest")
    await refused("serve", "--inngest", "--host", "example.com", code=78, says="is no address", hint="0.0.0.0")
    await refused(
        *("serve", "--inngest"),
        code=78,
        says="SDK is not installed",
        hint="pip install 'cdc[inngest]'",
        PYTHONPATH=without,
    )
    await refused(
        "run",
        code=78,
        says="CDC_FORWARD needs the key",
        hint="INNGEST_EVENT_KEY",
        CDC_FORWARD="inngest",
        DATABASE_URL=NOWHERE,
    )
