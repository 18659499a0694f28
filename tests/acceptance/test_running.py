"""A row is inserted, and a function from a folder runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.authored import WELCOME
from tests.acceptance.conftest import Write
from tests.acceptance.service import running
from tests.acceptance.state import USERS, completed, published, runs
from tests.servers import Connect
from tests.waiting import eventually


async def test_an_inserted_row_starts_a_function_that_takes_its_steps(
    connect: Connect, every_database_url: str, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(every_database_url)
    await conn.execute(USERS)
    async with running(DATABASE_URL=every_database_url, CDC_FUNCTIONS=functions) as service:
        await conn.execute("insert into users (name) values ('Ada')")
        (run,) = await completed(conn)
        assert run.function == "welcome"
        assert run.output == {"said": ["Hello, Ada!", "Ada, read the docs."], "event": "db/users.inserted"}
        assert service.output.count('{"ready": 4711}') == 1, "what a function prints goes to the logs, once"


@pytest.mark.parametrize(
    ("before", "reason", "mend"),
    [
        ("select 1", "it does not exist yet", USERS),
        (
            "create table users (id bigint generated always as identity, name text)",
            "it has no primary key",
            "alter table users add primary key (id)",
        ),
    ],
    ids=["absent", "without a key"],
)
async def test_a_table_that_cannot_be_followed_yet_is_told_and_picked_up_later(
    connect: Connect, database_url: str, functions: Path, write: Write, before: str, reason: str, mend: str
) -> None:
    write("welcome.py", WELCOME)
    conn = await connect(database_url)
    await conn.execute(before.encode())
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions) as service:
        (told,) = await service.logs("cannot follow")
        assert told["table"] == "public.users"
        assert told["reason"].startswith(reason)
        assert (await service.get("/v1/status")).json()["unpublished"] == {"public.users": told["reason"]}
        assert await published(conn) == []
        if "primary key" in reason:
            await conn.execute("insert into users (name) values ('Ada')")
            await conn.execute("update users set name = 'Grace'")  # published without a key, this would fail

        await conn.execute(mend.encode())
        await service.logs("follows again")
        await conn.execute("insert into users (name) values ('Barbara')")
        (run,) = await completed(conn)
        assert run.output["said"][0] == "Hello, Barbara!"
        assert (await service.get("/v1/status")).json()["unpublished"] == {}


async def test_a_function_that_fails_is_recorded_and_the_next_one_runs(
    connect: Connect, database_url: str, functions: Path, write: Write
) -> None:
    write(
        "picky.py",
        """
        from cdc import Context, NonRetriableError, function

        @function("picky", on="db/users.inserted")
        async def picky(ctx: Context) -> str:
            if ctx.event.data["new"]["name"] == "Mallory":
                raise NonRetriableError("not you, Mallory")
            return "welcome"
        """,
    )
    conn = await connect(database_url)
    await conn.execute(USERS)
    async with running(DATABASE_URL=database_url, CDC_FUNCTIONS=functions) as service:
        await conn.execute("insert into users (name) values ('Mallory'), ('Ada')")

        async def both() -> bool:
            return [run.status for run in await runs(conn)] == ["failed", "completed"]

        await eventually(both)
        (told,) = service.logged("run failed")
        assert told["function"] == "picky"
        assert "Mallory" not in service.output, "what a row holds stays in the database"


async def test_an_embedding_declared_in_a_setting_follows_the_text_of_its_row(
    connect: Connect, database_url: str
) -> None:
    conn = await connect(database_url)
    await conn.execute("create table notes (id bigint primary key, body text)")
    async with running(
        DATABASE_URL=database_url, CDC_EMBED="notes(body)", CDC_EMBED_MODEL="local-fast/wordllama"
    ) as service:

        async def vector() -> str | None:
            row = await (await conn.execute("select embedding::text from notes_embeddings where id = 1")).fetchone()
            return row[0] if row else None

        await conn.execute("insert into notes values (1, 'where do pets sleep?')")
        first = await eventually(vector)
        await conn.execute("update notes set body = 'interest rates of last year' where id = 1")

        async def changed() -> bool:
            return await vector() not in (None, first)

        await eventually(changed)
        assert not service.logged("cannot follow")


async def test_without_a_url_a_postgres_of_its_own_is_started_and_ended_with_the_service(
    connect: Connect, directory: Path, functions: Path, write: Write
) -> None:
    write("welcome.py", WELCOME)
    data = directory / "postgres"
    async with running(CDC_DATA_DIR=data, CDC_FUNCTIONS=functions, CDC_SLOT="own") as service:
        (told,) = service.logged("embedded postgres")
        password = (data / "password").read_text().strip()
        assert password not in service.output
        conn = await connect(told["url"].replace("@", f":{password}@"))
        await conn.execute(USERS)
        await service.logs("follows again")
        await conn.execute("insert into users (name) values ('Ada')")
        await completed(conn)
        await service.stop()
    assert not (data / "data" / "postmaster.pid").exists()
