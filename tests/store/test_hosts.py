"""Whose server it is, and how that host does it."""

from __future__ import annotations

import pytest

from cdc.store import hosts
from cdc.store.hosts import Host
from tests.servers import Connect


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("postgresql://u:p@ep-cool-1.eu-central-1.aws.neon.tech/app?sslmode=require", hosts.NEON),
        ("postgresql://db.abc.eu-west-1.RDS.amazonaws.com./app", hosts.RDS),
        ("host=db.xyz.supabase.co dbname=postgres", hosts.SUPABASE),
        ("postgresql://aws-0-eu-west-1.pooler.supabase.com:6543/postgres", hosts.SUPABASE),
        ("postgresql://app.postgres.database.azure.com/app", hosts.AZURE),
        ("postgresql://db.example.com/app", hosts.PLAIN),
        ("postgresql://neon.tech.example.com/app", hosts.PLAIN),
        ("postgresql://notneon.tech/app", hosts.PLAIN),
        ("postgresql:///app", hosts.PLAIN),
    ],
)
def test_a_host_is_known_by_its_name(url: str, host: Host) -> None:
    assert hosts.recognised(url) is host


@pytest.mark.parametrize(
    ("role", "host"), [("rds_superuser", hosts.RDS), ("cloudsqlsuperuser", hosts.CLOUD_SQL), ("me", hosts.PLAIN)]
)
def test_a_host_behind_a_name_of_ones_own_is_known_by_its_roles(role: str, host: Host) -> None:
    assert hosts.recognised("postgresql://db.example.com/app", {"postgres", role}) is host


def test_the_name_weighs_more_than_roles_that_were_copied_along() -> None:
    assert hosts.recognised("postgresql://x.neon.tech/app", {"rds_superuser"}) is hosts.NEON


async def test_a_server_of_ones_own_is_plain_and_lets_a_role_replicate_as_the_statement_says(
    migrated_url: str, connect: Connect
) -> None:
    conn = await connect(migrated_url)
    host = await hosts.recognise(conn, migrated_url)
    assert host is hosts.PLAIN
    async with conn.transaction(force_rollback=True):
        await conn.execute('create role "Svc"')
        await conn.execute(host.allow_replication('"Svc"').encode())
        cursor = await conn.execute("select rolreplication from pg_roles where rolname = 'Svc'")
        assert await cursor.fetchone() == (True,)
