"""`cdc demo`: the main job, seen from beginning to end on a Postgres of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import resources
from pathlib import Path

import httpx
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cdc import config
from cdc.embedded import Postgres
from cdc.embedding.search import Query
from cdc.errors import CdcError
from cdc.service import embeddings
from cdc.store import demo as store
from cdc.store.connect import connect

PATIENCE = 180.0
"""Seconds for the vectors to arrive; the local model needs about twenty on two cores."""

QUESTIONS = 5
"""Asked in the demo, of those that come along."""

_ROW = "INSERT INTO documents (title, content) VALUES ('My cat', 'She naps on the router.')"

say = Console(highlight=False, soft_wrap=True).print


def demo(*, once: bool = False) -> int:
    """Start a Postgres and the service, insert 320 passages, watch their vectors arrive, and search them by meaning.

    It leaves nothing behind: the database is made in a temporary folder and removed at the end.

    Args:
        once: end after the searches, rather than stay up for you to try it.
    """
    try:
        return asyncio.run(_demo(once=once))
    except KeyboardInterrupt:
        return 0


async def _demo(*, once: bool) -> int:
    settings = config.load()
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(_postgres())
        url = postgres.url
        say("[bold]1[/] Postgres 18 with pgvector is up, wal_level = logical.")
        api = f"http://127.0.0.1:{_port(settings.port)}"
        service = await stack.enter_async_context(_service(url, api))
        say(f"[bold]2[/] 'cdc run' listens to its WAL; API: {api}")
        conn = await stack.enter_async_context(await connect(url, autocommit=True))
        await store.create(conn)
        made, _ = await embeddings.declare(settings, url, "documents", "title, content", None)
        say("[bold]3[/] CREATE TABLE documents (...); SELECT cdc.embed('documents', ARRAY['title', 'content']);")
        say(f"  Vectors go to {made.target}, by {made.model}, {made.dimensions} dimensions.")
        passages = [(passage["title"], passage["content"]) for passage in _lines("passages.jsonl")]
        await store.insert(conn, passages)
        say(f"[bold]4[/] INSERT INTO documents: {len(passages)} passages. Their vectors arrive:")
        await _arrival(service, lambda: store.embedded(conn), len(passages))
        say("[bold]5[/] cdc search documents ...")
        right = await _search(settings, url, _lines("questions.jsonl")[:QUESTIONS])
        say(f"\n{right} of {QUESTIONS} questions had, as their first hit, the passage written to answer them.")
        if not once:
            _invite(url, api)
            await _until_interrupted(service)
    return 0


@asynccontextmanager
async def _postgres() -> AsyncIterator[Postgres]:
    folder = _folder()
    try:
        async with Postgres(folder / "postgres") as postgres:
            yield postgres
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="cdc-demo-"))
    folder.chmod(0o711)  # run by root, the server is an ordinary user who must get below
    return folder


@asynccontextmanager
async def _service(url: str, api: str) -> AsyncIterator[Process]:
    """The real `cdc run` in a process of its own."""
    environment = {
        "CDC_LOG_LEVEL": "warning",
        **os.environ,
        "DATABASE_URL": url,
        "CDC_SOURCES": "",
        "CDC_STATE_DATABASE_URL": "",
        "CDC_PORT": api.rpartition(":")[2],
        "CDC_HOST": "",
        "CDC_DASHBOARD_TOKEN": "",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cdc", "run"), env=environment, start_new_session=True
    )
    try:
        await _ready(process, api)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _ready(process: Process, api: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        while process.returncode is None:
            with suppress(httpx.HTTPError):
                if (await client.get(f"{api}/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
    raise CdcError("The service ended before it was ready.", hint="Its own message above says why.")


async def _arrival(service: Process, count: Callable[[], Awaitable[int]], total: int) -> None:
    columns = (TextColumn("  "), BarColumn(), MofNCompleteColumn(), TextColumn("vectors"), TimeElapsedColumn())
    async with asyncio.timeout(PATIENCE):
        with Progress(*columns) as progress:
            task = progress.add_task("vectors", total=total)
            while (arrived := await count()) < total:
                if service.returncode is not None:
                    raise CdcError("The service ended before all vectors had arrived.")
                progress.update(task, completed=arrived)
                await asyncio.sleep(0.1)
            progress.update(task, completed=total)


async def _search(settings: config.Settings, url: str, questions: list[dict[str, str]]) -> int:
    """Ask, show the first hits, and count how often the passage meant to answer came first."""
    right = 0
    for question in questions:
        hits = await embeddings.search(settings, url, Query(("public", "documents"), question["question"], 3))
        say(f"\n  [bold]{question['question']}[/]")
        for hit in hits:
            title, content = hit.columns["title"], hit.columns["content"] or ""
            say(f"    {hit.similarity or 0:.2f}  {title}: [dim]{content[:80]}…[/]")
        right += bool(hits) and hits[0].columns["title"] == question["title"]
    return right


def _invite(url: str, api: str) -> None:
    say("\nTry it yourself, in another terminal:")
    say(f"  export DATABASE_URL={url}", markup=False)
    say(f'  psql $DATABASE_URL -c "{_ROW}"', markup=False)
    say('  cdc search documents "where do pets sleep?"')
    say(f"  curl {api}/v1/runs")
    say("\nCtrl-C ends the demo and removes its database.")


async def _until_interrupted(service: Process) -> None:
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    waiting = {asyncio.create_task(interrupted.wait()), asyncio.create_task(service.wait())}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


def _port(wanted: int) -> int:
    """The API's port, or a free one when that is taken."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lines(name: str) -> list[dict[str, str]]:
    text = resources.files("cdc.cli").joinpath(name).read_text(encoding="utf-8")
    return [orjson.loads(line) for line in text.splitlines()]
