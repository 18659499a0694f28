"""The command `cdc` as people run it: a process of its own, with nothing in its environment but what a test puts there.

refused     runs a command that must end by itself with an error, and checks how it says so
running     a service for the length of a block, ended by SIGTERM
roles       who of several services listens, once one of them does
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.waiting import eventually

Setting = str | Path
Settings = dict[str, Setting]
"""Environment variables."""

_START_WITHIN = 60.0
STOP_WITHIN = 40.0
"""Seconds; more than any stop takes, on a machine that stands still for a while, too."""

_ANSWER_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The log lines on stderr."""
        return _logged(self.err)

    @property
    def told(self) -> list[str]:
        """What else is on stderr: the sentence and the hint."""
        return [line for line in self.err.splitlines() if not line.startswith("{")]


@dataclass(frozen=True, slots=True)
class Service:
    """A running `cdc run`."""

    process: Process
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """All that it wrote to stderr."""
        return self.log.read_text(errors="replace")

    @property
    def url(self) -> str:
        """Where its API is."""
        return str(self.logged("api")[-1]["url"])

    def logged(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """The log lines of this event, with these fields."""
        found = (line for line in _logged(self.output) if line.get("event") == event)
        return [line for line in found if fields.items() <= line.items()]

    async def logs(self, event: str, *, times: int = 1, within: float = _START_WITHIN) -> list[dict[str, Any]]:
        """The log lines of this event, once there are as many; fails when the service ends before."""

        def enough() -> list[dict[str, Any]]:
            found = self.logged(event)
            if len(found) < times and self.process.returncode is not None:
                raise RuntimeError(f"the service ended with {self.process.returncode}:\n{self.output}")
            return found if len(found) >= times else []

        return await eventually(enough, within=within, what=f"{event!r} is logged {times} times")

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """An answer of its API."""
        async with httpx.AsyncClient(
            base_url=self.url, headers=headers, trust_env=False, timeout=_ANSWER_WITHIN
        ) as client:
            return await client.get(path)

    async def post(self, path: str, body: object) -> httpx.Response:
        """What it answers to some JSON."""
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=_ANSWER_WITHIN) as client:
            return await client.post(path, json=body)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, within: float = STOP_WITHIN) -> int:
        """Its exit code, once it has ended."""
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def stop(self, number: signal.Signals = signal.SIGTERM, within: float = STOP_WITHIN) -> None:
        """End it in order."""
        self.send(number)
        assert await self.ended(within) == 0, self.output
        assert "Traceback" not in self.output, self.output

    async def kill(self) -> None:
        """End it as a crash does."""
        self.send(signal.SIGKILL)
        await self.process.wait()


@asynccontextmanager
async def going(*command: str, **settings: Setting) -> AsyncIterator[Service]:
    """A command that goes on, started just now; what of it still runs at the end of the block is killed."""
    with tempfile.TemporaryDirectory(prefix="cdc-service-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "cdc", *command),
                cwd=folder,
                env=environment(settings),
                stderr=stderr,
            )
        service = Service(process, log)
        try:
            yield service
        except BaseException:
            print(service.output)
            raise
        finally:
            if process.returncode is None:
                await service.kill()


def started(*arguments: str, **settings: Setting) -> AbstractAsyncContextManager[Service]:
    """`cdc run` with these arguments, likewise."""
    return going("run", *arguments, **settings)


@asynccontextmanager
async def running(*arguments: str, **settings: Setting) -> AsyncIterator[Service]:
    """A service that is ready; it is ended in order unless the block has done that."""
    async with started(*arguments, **settings) as service:
        await service.logs("api")
        yield service
        if service.process.returncode is None:
            await service.stop()


async def roles(first: Service, second: Service) -> tuple[Service, Service]:
    """Who listens and who stands by, once both are ready and one of them listens.

    Of two that start at once both may be ready while neither listens yet: each found the slot in the other's hands.
    """
    await asyncio.gather(first.logs("api"), second.logs("api"))

    async def told() -> tuple[Service, Service]:
        answers = [(await service.get("/readyz")).json()["listening"] for service in (first, second)]
        assert sorted(answers) == [False, True]
        return (first, second) if answers[0] else (second, first)

    return await eventually(told, what="one of the two listens")


async def cdc(*arguments: str, **settings: Setting) -> Done:
    """Run one command to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cdc",
        *arguments,
        cwd=tempfile.gettempdir(),
        env=environment(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_START_WITHIN):
            out, err = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())


async def refused(*arguments: str, code: int, says: str, hint: str, **settings: Setting) -> Done:
    """Run one command that must say one sentence and what to do next, and exit with this code.

    `says` and `hint` are parts of the two lines; the password of DATABASE_URL must be in neither stream.
    """
    done = await cdc(*arguments, **settings)
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    assert len(done.told) == 2, done.err
    assert done.told[0].startswith("cdc: ")
    assert says in done.told[0]
    assert hint in done.told[1]
    return done


def environment(settings: Mapping[str, Setting]) -> dict[str, str]:
    """Nothing of ours but where programs and home are: settings of this machine must not leak into a test.

    Slots are shared by all databases of a server, so each test has one that is named like its database.
    """
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    slot = str(settings.get("DATABASE_URL", "")).rpartition("/")[2].partition("?")[0]
    ours = {"CDC_PORT": "0", "CDC_CONNECT_PORT": "0", "CDC_SLOT": slot if slot.isidentifier() else "unused"}
    return {**kept, **ours, **{name: str(value) for name, value in settings.items()}}


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waited for does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def _logged(text: str) -> list[dict[str, Any]]:
    whole = text.rpartition("\n")[0]  # the last line may be in the making
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{") and line.endswith("}")]
