"""`cdc setup` and `cdc teardown`: an administrator makes what a service without rights of its own runs on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from psycopg import sql

from tests.acceptance.conftest import Write
from tests.acceptance.service import Settings, cdc, refused, running
from tests.acceptance.state import USERS, completed, published, slots_are_free
from tests.servers import Connect, Connection, Server
from tests.waiting import eventually

OURS = """
    select 'schema ' || nspname from pg_namespace where nspname in ('cdc', 'cdc_state')
    union all select 'publication ' || pubname from pg_publication
    union all select 'slot' from pg_replication_slots where database = current_database()
    order by 1
"""
ALL = ["publication cdc", "schema cdc", "schema cdc_state", "slot"]
GREET = """
    from cdc import Context, function

    @function("greet", on="db/users.inserted")
    async def greet(ctx: Context) -> str:
        return ctx.event.data["new"]["name"]
"""
PASSWORD = re.compile(r"The password of .+ is (\S+)")


@pytest.fixture
async def admin(any_database_url: str, connect: Connect) -> Connection:
    """A superuser's connection to the database, which has a table of users."""
    conn = await connect(any_database_url)
    await conn.execute(USERS)
    return conn


@pytest.fixture
async def role(admin: Connection) -> AsyncIterator[str]:
    """The name of a role that is not there yet, and of which nothing is left in the end."""
    name = f"Svc {admin.info.dbname}"
    yield name
    identifier = sql.Identifier(name)
    if (await admin.execute("select from pg_roles where rolname = %s", [name])).rowcount:
        await admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s and pid <> pg_backend_pid()",
            [name],
        )
        await admin.execute(sql.SQL("drop owned by {} cascade").format(identifier))
        await admin.execute(sql.SQL("drop role {}").format(identifier))


@pytest.fixture
def settings(any_database_url: str, write: Write) -> Settings:
    """The administrator's."""
    return {"DATABASE_URL": any_database_url, "CDC_FUNCTIONS": write("greet.py", GREET).parent}


async def ours(conn: Connection) -> list[str]:
    return [what for (what,) in await (await conn.execute(OURS)).fetchall()]


async def as_role(settings: Settings, role: str) -> Settings:
    """Settings of a service that runs as this role, which `cdc setup` makes."""
    done = await cdc("setup", "--role", role, **settings)
    assert (done.code, done.err) == (0, ""), done.err
    password = PASSWORD.search(done.out)
    assert password, done.out
    return as_user(settings, role, password[1])


def as_user(settings: Settings, role: str, password: str) -> Settings:
    place = str(settings["DATABASE_URL"]).rpartition("@")[2]
    return {**settings, "DATABASE_URL": f"postgresql://{role.replace(' ', '%20')}:{password}@{place}"}


async def test_a_service_without_rights_of_its_own_runs_on_what_setup_made(
    admin: Connection, role: str, settings: Settings
) -> None:
    service = await as_role(settings, role)
    assert await ours(admin) == ALL
    assert await published(admin) == ["users"]
    row = await (
        await admin.execute(
            "select rolsuper, rolcreaterole, rolcreatedb,"
            " has_database_privilege(rolname, current_database(), 'create'),"
            " has_table_privilege(rolname, 'users', 'select') from pg_roles where rolname = %s",
            [role],
        )
    ).fetchone()
    assert row == (False,) * 5
    async with running(**service):
        await admin.execute("insert into users (name) values ('ada')")
        await completed(admin)

    again = await cdc("setup", "--role", role, **settings)
    assert again.code == 0, again.err
    assert not [line for line in again.out.splitlines() if line.startswith("made")], again.out
    assert "The password" not in again.out
    async with running(**service):
        await admin.execute("insert into users (name) values ('bea')")
        await completed(admin, 2)


@pytest.mark.parametrize(
    ("take", "code", "says", "hint"),
    [
        ("alter role {role} noreplication", 77, "may not replicate", "REPLICATION"),
        ("alter role {role} nologin", 77, "not permitted to log in", ""),
        ("revoke connect on database {database} from public, {role}", 77, "permission denied for database", ""),
        ("alter schema cdc owner to postgres", 77, "permission denied for schema cdc", "Grant it"),
        ("alter schema cdc_state owner to postgres", 77, "permission denied for schema cdc_state", "Grant it"),
        ("drop publication cdc", 77, "may not create the publication", "CREATE PUBLICATION"),
    ],
)
async def test_without_any_of_its_rights_the_service_says_what_it_lacks(
    admin: Connection, role: str, settings: Settings, take: str, code: int, says: str, hint: str
) -> None:
    service = await as_role(settings, role)
    names = {"role": sql.Identifier(role), "database": sql.Identifier(admin.info.dbname)}
    await admin.execute(sql.SQL(take).format(**names))
    await refused("run", code=code, says=says, hint=hint, CDC_CONNECT_TIMEOUT="0", **service)


async def test_a_table_that_is_not_in_the_publication_is_told_with_the_owner_s_statement(
    admin: Connection, role: str, settings: Settings
) -> None:
    service = await as_role(settings, role)
    await admin.execute("alter publication cdc drop table users")
    async with running(**service) as running_service:
        (told,) = await running_service.logs("cannot follow")
        assert "this role does not own it; as its owner" in told["reason"]
        statement = told["reason"].partition("as its owner: ")[2]
        await admin.execute(statement.encode())
        await running_service.logs("follows again")


async def test_what_is_excluded_by_a_setting_is_left_out_by_setup_and_kept_out_by_a_role_that_owns_nothing(
    admin: Connection, role: str, settings: Settings
) -> None:
    await admin.execute("alter table users add column secret text")
    settings["CDC_EXCLUDE"] = "users(secret)"
    service = await as_role(settings, role)
    cursor = await admin.execute("select attnames::text[] from pg_publication_tables")
    assert await cursor.fetchall() == [(["id", "name"],)]
    async with running(**service):
        pass
    await refused(
        "run",
        code=77,
        says="public.users is published with what CDC_EXCLUDE or CDC_FILTER leaves out",
        hint="as its owner: BEGIN; alter publication",
        **{**service, "CDC_EXCLUDE": "users(name, secret)"},
    )
    async with running(**{**service, "CDC_EXCLUDE": "users"}):
        assert await published(admin) == []


async def test_a_dry_run_changes_nothing_and_what_it_prints_does(
    admin: Connection, role: str, settings: Settings
) -> None:
    done = await cdc("setup", "--role", role, "--dry-run", **settings)
    assert (done.code, done.err) == (0, "")
    assert await ours(admin) == []
    assert not (await admin.execute("select from pg_roles where rolname = %s", [role])).rowcount
    script, _, slot = done.out.partition("commit;\n")
    await admin.execute(f"{script}commit;".encode())
    await admin.execute(slot.encode())
    assert await ours(admin) == ALL
    async with running(**as_user(settings, role, "choose%20a%20password")):
        await admin.execute("insert into users (name) values ('ada')")
        await completed(admin)


async def test_setup_without_a_role_is_for_the_one_that_connects(admin: Connection, settings: Settings) -> None:
    done = await cdc("setup", **settings)
    assert (done.code, done.err) == (0, "")
    assert await ours(admin) == ALL
    await admin.execute("insert into users (name) values ('before the first start')")
    async with running(**settings):
        await completed(admin)


async def test_schemas_of_another_role_are_handed_over(admin: Connection, role: str, settings: Settings) -> None:
    async with running(**settings):
        await admin.execute("insert into users (name) values ('ada')")
        await completed(admin)
    async with running(**await as_role(settings, role)):
        await admin.execute("insert into users (name) values ('bea')")
        await completed(admin, 2)


async def test_pruning_takes_out_what_nobody_needs(admin: Connection, settings: Settings) -> None:
    await admin.execute("create table old (id int primary key); create table kept (id int primary key)")
    await cdc("setup", **settings, CDC_TABLES="*")
    assert await published(admin) == ["kept", "old", "users"]
    await cdc("setup", **settings)
    assert await published(admin) == ["kept", "old", "users"]
    done = await cdc("setup", "--prune", **settings, CDC_TABLES="kept")
    assert "public.old in it no more" in done.out
    assert await published(admin) == ["kept", "users"]


async def test_an_embedded_table_may_be_read_and_nothing_else(
    connect: Connect, server: Server, database_url: str
) -> None:
    admin = await connect(database_url)
    role = f"svc_{admin.info.dbname}"
    await admin.execute(
        "create table notes (id bigint primary key, body text); create table other (id int primary key)"
    )
    settings: Settings = {
        "DATABASE_URL": database_url,
        "CDC_EMBED": "notes(body)",
        "CDC_EMBED_MODEL": "local-fast/wordllama",
    }
    try:
        service = await as_role(settings, role)
        rights = "select has_table_privilege(%s, %s, %s)"
        for table, right, has in [("notes", "select", True), ("notes", "update", False), ("other", "select", False)]:
            assert await (await admin.execute(rights, [role, table, right])).fetchone() == (has,), (table, right)
        async with running(**service):
            await admin.execute("insert into notes values (1, 'a text')")

            async def is_embedded() -> bool:
                return bool((await admin.execute("select from notes_embeddings where embedding is not null")).rowcount)

            await eventually(is_embedded, what="the note has its vector")
        await admin.execute(sql.SQL("revoke select on notes from {}").format(sql.Identifier(role)))
        await refused("run", code=78, says=f"Role {role} has no SELECT right on notes", hint="CDC_EMBED", **service)
    finally:
        await admin.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active"
            " and database = current_database()"
        )
        await admin.execute(sql.SQL("drop owned by {0} cascade; drop role {0}").format(sql.Identifier(role)))


async def test_an_administrator_who_is_no_superuser_is_told_what_he_may_not(
    admin: Connection, role: str, settings: Settings
) -> None:
    database = sql.Identifier(admin.info.dbname)
    chief = sql.Identifier(f"chief {admin.info.dbname}")
    await admin.execute(sql.SQL("create role {} login createrole password 'pw'").format(chief))
    await admin.execute(sql.SQL("grant create on database {} to {}").format(database, chief))
    await admin.execute(sql.SQL("alter table users owner to {}").format(chief))
    try:
        theirs = as_user(settings, f"chief {admin.info.dbname}", "pw")
        await refused(
            "setup", "--role", role, code=77, says="may not let", hint="As an administrator".lower()[3:], **theirs
        )
        assert await ours(admin) == []
        assert not (await admin.execute("select from pg_roles where rolname = %s", [role])).rowcount
        await admin.execute(sql.SQL("create role {} login replication password 'pw'").format(sql.Identifier(role)))
        await admin.execute(sql.SQL("grant {} to {} with admin option").format(sql.Identifier(role), chief))
        done = await cdc("setup", "--role", role, **theirs)
        assert (done.code, done.err) == (0, ""), done.err
        assert "the service makes it at its first start" in done.out
        assert "publication cdc is not" in done.out
        async with running(**as_user(settings, role, "pw")):
            await admin.execute("insert into users (name) values ('ada')")
            await completed(admin)
        await admin.execute("drop schema cdc, cdc_state cascade; drop publication cdc")
    finally:
        await admin.execute(
            sql.SQL("alter table users owner to postgres; drop owned by {0} cascade; drop role {0}").format(chief)
        )


async def test_teardown_removes_what_is_ours_and_nothing_else(admin: Connection, settings: Settings) -> None:
    async with running(**settings) as service:
        await admin.execute("insert into users (name) values ('ada')")
        await completed(admin)
        await refused("teardown", "--yes", code=69, says="in use: a service is running", hint="Stop it", **settings)
        assert await ours(admin) == ALL
        await service.stop()

    await slots_are_free(admin)
    asked = await cdc("teardown", **settings)
    assert asked.code == 1
    assert "1 runs, 0 of them unfinished, and 1 events" in asked.out
    assert "Nothing was changed." in asked.out
    shown = await cdc("teardown", "--dry-run", **settings)
    assert shown.out.splitlines()[0].startswith("select pg_drop_replication_slot(")
    assert await ours(admin) == ALL

    done = await cdc("teardown", "--yes", **settings)
    assert (done.code, done.err) == (0, "")
    assert await ours(admin) == []
    assert (await admin.execute("select from users")).rowcount == 1
    again = await cdc("teardown", **settings)
    assert (again.code, again.out) == (0, "There is nothing to remove.\n")


async def test_what_teardown_prints_can_be_run(admin: Connection, settings: Settings) -> None:
    await cdc("setup", **settings)
    shown = await cdc("teardown", "--dry-run", **settings)
    for statement in shown.out.splitlines():
        await admin.execute(statement.encode())
    assert await ours(admin) == []


async def test_teardown_leaves_vectors_where_they_are_and_says_so(connect: Connect, database_url: str) -> None:
    conn = await connect(database_url)
    await conn.execute("create table notes (id bigint primary key, body text)")
    settings: Settings = {"DATABASE_URL": database_url, "CDC_EMBED_MODEL": "local-fast/wordllama"}
    assert (await cdc("embed", "notes", "--columns", "body", **settings)).code == 0
    done = await cdc("teardown", "--yes", **settings)
    assert "Vectors stay where they are: public.notes_embeddings." in done.out
    assert (await conn.execute("select from pg_class where relname = 'notes_embeddings'")).rowcount == 1
