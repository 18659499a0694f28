from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cdc.errors import ConfigurationError, DatabaseRefused, DatabaseUnreachable
from cdc.wal import connection
from cdc.wal.connection import ask
from cdc.wal.connection import connect as connect_for_replication
from cdc.wal.slot import identify, identity_of
from tests.proxy import Proxy
from tests.servers import Connect


@pytest.fixture(autouse=True)
def _nobody_is_given_up_for_silence() -> None:
    """Here it is as it is in a service."""


async def shown(url: str, setting: str) -> str:
    async with await connect_for_replication(url) as connection:
        (value,) = await ask(connection, f"SHOW {setting}".encode())
        return str(value)


async def test_options_of_the_url_are_kept_but_for_those_that_change_values(any_database_url: str) -> None:
    url = make_conninfo(
        any_database_url, options="-c statement_timeout=12345 -c DateStyle=German -c TimeZone=Asia/Tokyo"
    )
    assert await shown(url, "statement_timeout") == "12345ms"
    assert (await shown(url, "DateStyle")).startswith("ISO")
    assert await shown(url, "TimeZone") == "UTC"


async def test_the_server_notices_soon_that_a_machine_vanished_unless_the_url_says_otherwise(database_url: str) -> None:
    assert await shown(database_url, "wal_sender_timeout") == "20s"
    patient = make_conninfo(database_url, options="-c wal_sender_timeout=3min")
    assert await shown(patient, "wal_sender_timeout") == "3min"


async def test_options_of_the_environment_are_kept_too(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=12345")
    assert await shown(database_url, "statement_timeout") == "12345ms"


async def test_a_connection_says_whose_it_is_unless_the_url_says_otherwise(database_url: str) -> None:
    assert await shown(database_url, "application_name") == "cdc"
    assert await shown(make_conninfo(database_url, application_name="mine"), "application_name") == "mine"


async def test_a_role_without_replication_is_told_the_statement_it_needs(
    any_database_url: str, connect: Connect
) -> None:
    connection = await connect(any_database_url)
    await connection.execute('drop role if exists "o\'neil"')
    await connection.execute("create role \"o'neil\" login password 'secret'")
    with pytest.raises(DatabaseRefused, match=r"(?i)wal ?sender") as refused:
        await identify(make_conninfo(any_database_url, user="o'neil", password="secret"))
    assert 'ALTER ROLE "o\'neil" REPLICATION;' in refused.value.hint
    await connection.execute('drop role "o\'neil"')


@pytest.mark.parametrize(
    "change",
    [{"password": "wrong"}, {"user": "nobody-here"}, {"dbname": "no-such-database"}],
    ids=lambda c: next(iter(c)),
)
async def test_a_refused_connection_is_refused_and_keeps_its_secrets(
    any_database_url: str, change: dict[str, str]
) -> None:
    with pytest.raises(DatabaseRefused) as refused:
        await identify(make_conninfo(any_database_url, **change))
    assert "wrong" not in str(refused.value)


async def test_nobody_at_the_address_is_unreachable_and_worth_another_try() -> None:
    with pytest.raises(DatabaseUnreachable) as error:
        await identify("postgresql://postgres:secret@127.0.0.1:1/postgres")
    assert error.value.transient
    assert "secret" not in str(error.value)


async def test_a_url_that_cannot_be_read_is_a_configuration_error_that_does_not_repeat_it() -> None:
    with pytest.raises(ConfigurationError) as error:
        await identify("postgresql://postgres:se cret@host:port/db")
    assert "cret" not in str(error.value)


async def test_a_command_that_is_not_answered_ends_its_connection(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Proxy(database_url) as proxy, await connect_for_replication(proxy.url) as silent:
        monkeypatch.setattr(connection, "ANSWERS_WITHIN", 0.5)
        proxy.stall()
        with pytest.raises(psycopg.OperationalError):
            await asyncio.wait_for(identity_of(silent), 60)
