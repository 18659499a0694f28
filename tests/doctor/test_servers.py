"""Servers and connections with a fault each: the doctor names it, and what to do."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from cdc.config import Settings
from cdc.errors import ServerNotReady
from cdc.service.doctor import server as checks
from cdc.service.doctor.subject import connected
from cdc.service.named import Named
from cdc.store import examining
from cdc.store.hosts import NEON
from cdc.wal.connection import Connection as Replication
from cdc.wal.connection import connect as replicate
from tests.acceptance.pooler import free_port, pooled
from tests.doctor.examining import bad, examined, own_server
from tests.servers import Connect, Server
from tests.standby import streaming
from tests.waiting import eventually

PASSWORD = "open-sesame"


@pytest.fixture
async def role(server: Server, database_url: str, connect: Connect) -> AsyncIterator[str]:
    """A URL with a role that may do nothing."""
    admin = await connect(server.postgres.url)
    name = database_url.rpartition("/")[2]
    await admin.execute(sql.SQL("create role {} login password {}").format(sql.Identifier(name), PASSWORD))
    yield make_conninfo(database_url, user=name, password=PASSWORD)
    await admin.execute(sql.SQL("revoke all on database {0} from {0}").format(sql.Identifier(name)))
    await admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.fixture
def certified(directory: Path) -> tuple[Path, Path]:
    """A key that a server may read, and its certificate, which nobody vouches for."""
    key, certificate = directory / "key", directory / "certificate"
    made = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run(made.split(), check=True, capture_output=True)
    if os.geteuid() == 0:
        account = pwd.getpwnam("nobody")
        os.chown(key, account.pw_uid, account.pw_gid)
    key.chmod(0o600)
    return key, certificate


async def test_an_empty_database_of_every_version_is_well_and_is_left_as_it_was(
    every_database_url: str, connect: Connect
) -> None:
    conn = await connect(every_database_url)
    made = (
        "select (select count(*) from pg_class), (select count(*) from pg_namespace where nspname !~ '^pg_'),"
        " (select count(*) from pg_publication), (select count(*) from pg_replication_slots where"
        " database = current_database())"
    )
    before = await (await conn.execute(made)).fetchone()
    found = await examined(every_database_url)
    assert bad(found) == set()
    assert found["version"].says.startswith(f"Postgres {conn.info.server_version // 10000}.")
    assert await (await conn.execute(made)).fetchone() == before


async def test_nobody_answers() -> None:
    found = await examined(f"postgresql://u:{PASSWORD}@127.0.0.1:{free_port()}/db")
    assert bad(found) == {"database"}
    assert "Check host and port" in found["database"].next
    assert PASSWORD not in str(found)


async def test_a_wrong_password(database_url: str) -> None:
    found = await examined(make_conninfo(database_url, password=PASSWORD))
    assert bad(found) == {"database"}
    assert "refused the password" in found["database"].says
    assert PASSWORD not in str(found)


async def test_a_pooler_by_its_name() -> None:
    found = await examined("postgresql://u@ep-x-pooler.eu.aws.neon.tech/db")
    assert "Use the direct host: ep-x.eu.aws.neon.tech" in found["database"].next


async def test_a_pooler_by_what_it_does(database_url: str) -> None:
    async with pooled(database_url) as through:
        found = await examined(through)
        assert bad(found) == {"replication"}
        assert "pooler" in found["replication"].says
        apart = await examined(database_url, state_database_url=through)
    assert bad(apart) == set()
    assert "polls" in apart["state"].says


async def test_a_role_that_may_not_replicate_or_create(role: str) -> None:
    found = await examined(role)
    assert "ALTER ROLE" in found["role"].next
    assert {"role", "replication"} <= bad(found)


async def test_a_role_that_may_replicate_but_not_create(role: str, server: Server, connect: Connect) -> None:
    name = sql.Identifier(role.rpartition("dbname=")[2].partition(" ")[0])
    await (await connect(server.postgres.url)).execute(sql.SQL("alter role {} replication").format(name))
    found = await examined(role)
    assert bad(found) == set()
    assert "GRANT CREATE ON DATABASE" in found["role"].next


async def test_a_database_that_is_not_utf8(server: Server, connect: Connect) -> None:
    admin = await connect(server.postgres.url)
    await admin.execute("create database doctor_ascii encoding 'SQL_ASCII' locale 'C' template template0")
    url = server.postgres.url_for("doctor_ascii")
    try:
        assert bad(await examined(url)) == {"encoding"}
    finally:
        await server.drop_database(url)


async def replicating(url: str) -> Replication:
    """The only walsender, once it can be had: the one before lives on for a moment after its connection was closed.

    No view tells when that is over: it leaves them before it gives its place back.
    """

    async def one() -> Replication:
        try:
            return await replicate(url)
        except ServerNotReady as full:
            raise AssertionError(full.message) from None

    return await eventually(one, what="there is a walsender to spare")


async def test_a_server_that_was_never_set_up_for_replication(directory: Path, connect: Connect) -> None:
    settings = {
        "wal_level": "replica",
        "max_replication_slots": "1",
        "max_wal_senders": "1",
        "wal_sender_timeout": "0",
        "idle_replication_slot_timeout": "10min",
    }
    async with own_server(directory, "18", **settings) as postgres:
        conn = await connect(postgres.url)
        await conn.execute("select pg_create_physical_replication_slot('other')")
        found = await examined(postgres.url)
        assert bad(found) == {"wal_level", "replication slots"}
        assert "ALTER SYSTEM SET wal_level = logical" in found["wal_level"].next
        assert "max_replication_slots" in found["replication slots"].next
        assert found["wal_sender_timeout"].state == "warning"
        assert "10 minutes" in found["idle_replication_slot_timeout"].says
        assert found["max_slot_wal_keep_size"].state == "warning"
        async with await replicating(postgres.url):
            found = await examined(postgres.url)
    assert bad(found) == {"wal_level", "replication slots", "walsenders", "replication"}
    assert "max_wal_senders" in found["walsenders"].next


async def test_a_standby() -> None:
    async with streaming() as pair:
        found = await examined(pair.standby.url)
    assert "primary" in bad(found)
    assert found["primary"].next == "Connect to the primary."
    assert "slot" not in found


@pytest.mark.parametrize(
    ("near", "mode", "state"),
    [(True, "require", "ok"), (False, "require", "warning"), (False, "verify-ca", "ok"), (False, "disable", "warning")],
)
async def test_tls(
    certified: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, near: bool, mode: str, state: str
) -> None:
    key, certificate = certified
    monkeypatch.setattr(examining, "_is_near", lambda host: near)
    settings = {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
    async with own_server(key.parent, "15", **settings) as postgres:
        found = await examined(make_conninfo(postgres.url, sslmode=mode, sslrootcert=str(certificate)))
    assert found["TLS"].state == state
    assert ("verify-full" in found["TLS"].next) == (state == "warning")


async def test_what_a_host_has_of_its_own_is_advised(database_url: str) -> None:
    settings = Settings(database_url=SecretStr(database_url))
    async with connected(settings, Named.home(settings, database_url), []) as subject:
        facts = subject.facts._replace(wal_level="replica", may_replicate=False, version=190000, in_recovery=True)
        hosted = replace(subject, host=NEON, facts=facts)
        assert (await checks.wal_level(hosted)).next == NEON.wal_level
        assert "ALTER ROLE" in (await checks.role(hosted)).next
        assert (await checks.version(hosted)).state == "warning"
        assert (await checks.primary(hosted)).state == "failed"
        old = replace(subject, facts=facts._replace(version=130022))
        assert (await checks.version(old)).state == "failed"
