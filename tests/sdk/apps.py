"""Apps as their authors run them: processes of their own, which know of the service what their environment says.

KINDS    the SDKs, and the ways to run them
started  an app for the length of a block
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from uuid import uuid4

import httpx

from cdc.client import Client
from tests.sdk.packages import FOLDER, node
from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]

TYPESCRIPT = ("js3", "js4", "js4-classic")
KINDS = ("py", *TYPESCRIPT)
"""PyPI `inngest`; npm `inngest` 3; 4, which checkpoints; 4 with one call a step."""

_START_WITHIN = 60.0
_RUN_WITHIN = 60.0
_ANSWER_WITHIN = 60.0

Run = dict[str, Any]


class Program(NamedTuple):
    """What is started, and where."""

    command: list[str]
    folder: Path


def fresh() -> str:
    """A `data.id` that no other run has."""
    return uuid4().hex[:12]


class App:
    """A running app. Each run is told by the `data.id` of its event, under which its bodies note that they ran."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], port: int, effects: Path, service: str) -> None:
        self.name = name
        self.process = process
        self.port = port
        self.service = service
        self._effects = effects

    @property
    def folder(self) -> Path:
        """Where it notes what it did, and tests leave files for it."""
        return self._effects.parent

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/inngest"

    @property
    def _client(self) -> Client:
        return Client(self.service, timeout=_ANSWER_WITHIN)

    async def sync(self) -> None:
        """Have it register its functions, as a deployment does."""
        async with httpx.AsyncClient(trust_env=False, timeout=_ANSWER_WITHIN) as client:
            answer = await client.put(self.url)
        assert answer.status_code == 200, answer.text

    async def send(self, function: str, **data: Any) -> str:
        """Send the event that starts a function. Returns the id that it is stored under."""
        (event,) = await self.send_together(function, data)
        return event

    async def send_together(self, function: str, *data: dict[str, Any]) -> list[str]:
        """Send several such events at once."""
        return await self._client.send([{"name": f"{self.name}/{function}", "data": each} for each in data])

    async def run(self, function: str, **data: Any) -> Run:
        """The run that an event starts, once it has ended."""
        (run,) = await self.runs(await self.send(function, **data))
        return run

    async def output(self, function: str, **data: Any) -> Any:
        """What a run returns."""
        run = await self.run(function, **data)
        assert run["status"] == "completed", run
        return run["output"]

    async def runs(self, event: str) -> list[Run]:
        """The runs of an event, once there are some and all have ended."""

        async def ended() -> list[Run]:
            return await self._client.ended(event, within=_RUN_WITHIN)

        return await eventually(ended, within=_RUN_WITHIN, what=f"the runs of event {event} have ended")

    async def starts_nothing(self, function: str, **data: Any) -> None:
        """Send an event that starts no run."""
        assert await self._client.ended(await self.send(function, **data), within=_RUN_WITHIN) == []

    async def is_now(self, event: str, status: str) -> None:
        """Wait until the only run of an event has this status."""

        async def has() -> bool:
            async with httpx.AsyncClient(base_url=self.service, trust_env=False, timeout=_ANSWER_WITHIN) as client:
                runs = (await client.get(f"/v1/events/{event}/runs")).json()["data"]
            return [run["status"] for run in runs] == [status]

        await eventually(has, within=_RUN_WITHIN, what=f"the run of event {event} is {status}")

    def noted(self, id: str) -> list[str]:
        """What bodies noted, oldest first."""
        return [each["what"] for each in self.effects(id)]

    def effects(self, id: str) -> list[dict[str, Any]]:
        """The same with the times, in milliseconds."""
        lines = self._effects.read_text().rpartition("\n")[0].splitlines()  # the last one may be in the making
        return [each for each in map(json.loads, lines) if each["id"] == id]

    async def notes(self, id: str, *what: str) -> None:
        """Wait until exactly this was noted."""
        await eventually(lambda: self.noted(id) == [*what], within=_RUN_WITHIN, what=f"{what} were noted for {id}")

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()


@asynccontextmanager
async def started(
    kind: str,
    service: str,
    effects: Path,
    *,
    name: str = "",
    port: int = 0,
    program: Program | None = None,
    environment: Mapping[str, str] = {},
) -> AsyncIterator[App]:
    """An app of this kind for the service at that URL, once it listens; it is killed at the end of the block.

    It is not registered yet.
    """
    settings = {"APP": name or kind, "PORT": str(port), "EFFECTS": str(effects), "INNGEST_DEV": service}
    if kind == "js4-classic":
        settings["CHECKPOINTING"] = "off"
    with tempfile.TemporaryFile() as log:
        process = _start(program or _programs(kind), {**settings, **environment}, log)
        try:
            listens = await eventually(lambda: _port(process, log), within=_START_WITHIN, what=f"{kind} listens")
            yield App(name or kind, process, listens, effects, service)
        except BaseException:
            print(f"--- {kind}\n{_text(log)}")
            raise
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)


def _start(program: Program, settings: Mapping[str, str], log: BinaryIO) -> subprocess.Popen[bytes]:
    """With nothing of this machine's settings."""
    Path(settings["EFFECTS"]).touch()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        program.command,
        cwd=program.folder,
        env={**kept, "PYTHONPATH": str(ROOT), **settings},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
    )


def _programs(kind: str) -> Program:
    if kind == "py":
        return Program([sys.executable, "-m", "tests.sdk.python.app"], ROOT)
    version = ["--conditions=v3"] if kind == "js3" else []
    return Program([str(node()), *version, "--import", "tsx", "app.ts"], FOLDER)


def _port(process: subprocess.Popen[bytes], log: BinaryIO) -> int:
    if process.poll() is not None:
        raise RuntimeError(f"the app ended with {process.returncode}:\n{_text(log)}")
    said = [line for line in _text(log).splitlines() if line.startswith("listening on ")]
    return int(said[0].removeprefix("listening on ")) if said else 0


def _text(log: BinaryIO) -> str:
    return os.pread(log.fileno(), 1 << 24, 0).decode(errors="replace")
