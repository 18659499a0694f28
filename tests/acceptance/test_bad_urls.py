"""A DATABASE_URL that leads nowhere: one sentence, what to do next, and never the password."""

from __future__ import annotations

import socket

import pytest

from cdc.errors import ConfigurationError
from cdc.store.connect import STATE, checked, connect, place
from tests.acceptance.service import refused, started
from tests.servers import Server

PASSWORD = "open-sesame"
ELSEWHERE = f"postgresql://somebody:{PASSWORD}@127.0.0.1:1/app"


async def test_a_url_that_cannot_be_read_is_refused() -> None:
    url = f"postgresql://u:{PASSWORD}@[::1"
    done = await refused(
        "run", code=78, says="cannot be read", hint="postgresql://user:password@host:5432/database", DATABASE_URL=url
    )
    assert PASSWORD not in done.err


@pytest.mark.parametrize("url", [PASSWORD, f"postgresql://u:%zz{PASSWORD}@h/d", f"postgresql://h/d?{PASSWORD}=1"])
def test_what_is_no_url_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        checked(url)
    assert PASSWORD not in str(refusal.value)


async def test_a_password_that_is_not_encoded_is_recognised_before_anything_is_tried() -> None:
    url = f"postgresql://somebody:x@{PASSWORD}@127.0.0.1:1/app"
    done = await refused("run", code=78, says="not %-encoded", hint="Write @ as %40", DATABASE_URL=url)
    assert PASSWORD not in done.err
    assert not done.logged


@pytest.mark.parametrize("begin", ["x@y:", "x/", "12/", "1@2/", "x:", ":x@"])
def test_no_part_of_a_password_is_taken_for_host_port_or_database(begin: str) -> None:
    url = f"postgresql://somebody:{begin}{PASSWORD}@127.0.0.1:1/app"
    try:
        shown = place(checked(url))
    except ConfigurationError as refusal:
        shown = str(refusal)
    assert PASSWORD not in shown


async def test_an_option_that_cannot_be_used_is_not_waited_for(server: Server) -> None:
    url = f"{server.postgres.url_for('nowhere')}?sslmode=bogus"
    done = await refused("run", code=78, says='sslmode value: "bogus"', hint="Correct", DATABASE_URL=url)
    assert not done.logged
    assert password(server) not in done.err


@pytest.mark.parametrize("option", ["connect_timeout=soon", "port=99999", "keepalives=abc", "channel_binding=maybe"])
async def test_every_option_that_cannot_be_used_is_a_fault_of_the_url(server: Server, option: str) -> None:
    with pytest.raises(ConfigurationError, match=option.partition("=")[2]) as refusal:
        await connect(f"{server.postgres.url_for('nowhere')}?{option}")
    assert password(server) not in str(refusal.value)


async def test_a_pooler_is_refused_before_anything_is_sent_to_it() -> None:
    url = f"postgresql://u:{PASSWORD}@ep-x-pooler.eu.aws.neon.tech/db"
    done = await refused("run", code=78, says="pooler", hint="ep-x.eu.aws.neon.tech", DATABASE_URL=url)
    assert not done.logged
    assert PASSWORD not in done.err


def test_a_pooler_may_stand_before_the_state() -> None:
    url = f"postgresql://u:{PASSWORD}@ep-x-pooler.eu.aws.neon.tech/db"
    assert checked(url, STATE) == url
    with pytest.raises(ConfigurationError, match="CDC_STATE_DATABASE_URL cannot be read") as refusal:
        checked(PASSWORD, STATE)
    assert PASSWORD not in str(refusal.value)


async def test_a_wrong_password_is_refused_at_once(server: Server, database_url: str) -> None:
    url = database_url.replace(password(server), PASSWORD)
    done = await refused("run", code=77, says="refused the password", hint="Check user and password", DATABASE_URL=url)
    assert PASSWORD not in done.err
    assert not done.logged


async def test_an_unknown_user_is_refused_at_once(server: Server, database_url: str) -> None:
    url = database_url.replace("//postgres:", "//nobody_of_that_name:")
    done = await refused("run", code=77, says="refused", hint="Check user", DATABASE_URL=url)
    assert password(server) not in done.err


async def test_an_unknown_database_is_refused_at_once(server: Server) -> None:
    url = server.postgres.url_for("nowhere")
    done = await refused("run", code=77, says="no such database", hint="DATABASE_URL", DATABASE_URL=url)
    assert password(server) not in done.err


async def test_a_server_that_is_down_is_waited_for_with_growing_pauses() -> None:
    async with started(DATABASE_URL=ELSEWHERE) as service:
        waiting = await service.logs("waiting for the database", times=3)
        pauses = [line["seconds"] for line in waiting]
        assert pauses == sorted(set(pauses))
        assert PASSWORD not in service.output


async def test_a_server_that_is_down_is_given_up_after_a_time() -> None:
    done = await refused(
        "run",
        code=69,
        says="127.0.0.1:1/app",
        hint="Check host and port",
        DATABASE_URL=ELSEWHERE,
        CDC_CONNECT_TIMEOUT="0.1",
    )
    assert PASSWORD not in done.err


async def test_a_server_that_takes_the_connection_and_says_nothing_is_given_up_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/db?connect_timeout=2"
        done = await refused(
            "run", code=69, says="timeout", hint="Check host and port", DATABASE_URL=url, CDC_CONNECT_TIMEOUT="1"
        )
    assert PASSWORD not in done.err


@pytest.mark.parametrize("command", [("slot", "status"), ("slot", "drop", "--yes"), ("unembed", "documents")])
async def test_every_command_says_so_when_there_is_no_server(command: tuple[str, ...]) -> None:
    done = await refused(*command, code=69, says="127.0.0.1:1/app", hint="Check host and port", DATABASE_URL=ELSEWHERE)
    assert PASSWORD not in done.err


async def test_an_empty_url_is_as_none_and_a_command_about_a_database_needs_one() -> None:
    await refused("slot", "status", code=78, says="DATABASE_URL is not set", hint="export", DATABASE_URL="")


def password(server: Server) -> str:
    return server.postgres.url.partition("//postgres:")[2].partition("@")[0]
