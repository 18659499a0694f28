"""Ten thousand rows through a service that is killed again and again.

Every committed change is one event, every row has the vector of its present text, no run is left unfinished, and
nothing that was recorded is computed again.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Literal

import numpy as np
import pytest

from tests.acceptance.service import Service, Settings, running, started
from tests.acceptance.state import is_backfilled
from tests.crash.ledger import WATCH, Ledger, write_function
from tests.openai_server import OpenAIServer, unit_vectors
from tests.proxy import ports_of
from tests.servers import Connect, Connection
from tests.waiting import eventually

ROWS = 10_000
DIMENSIONS = 64

BURST = 1000
WORKER_KILLS = 6

AHEAD = 1500
"""Changes that the writer may be ahead of the next kill, so that it is still writing at the last one."""

Kill = Literal["service", "parent", "worker"]
"""All processes at once; the parent alone, whose worker then has to end by itself; the worker alone."""

KILLS: Sequence[Kill] = ("service", "service", "service", "parent", "parent", "worker", "worker")

DOCUMENTS = """
    create table documents (id bigint primary key, version integer not null, title text not null, body text not null);
    select cdc.embed('documents', array['title', 'body']);
"""

INSERT = """
    insert into documents select id, 0, 'Document ' || id, 'version 0 of ' || id from unnest(%s::bigint[]) as id
"""

UPDATE = """
    update documents set version = version + 1, body = 'version ' || version + 1 || ' of ' || id where id = any (%s)
"""


def text_of(id: int, version: int) -> str:
    return f"Document {id}\n\nversion {version} of {id}"


@dataclass
class Writer:
    """An application: transactions of 1 to 50 new rows and a few changed ones, some of them rolled back."""

    connection: Connection
    random: random.Random
    limit: float = 0
    versions: dict[int, int] = field(default_factory=dict)
    updates: Counter[tuple[int, int]] = field(default_factory=Counter)

    @property
    def changes(self) -> int:
        """What was committed."""
        return len(self.versions) + self.updates.total()

    async def write(self) -> None:
        new = 1
        while (left := ROWS - len(self.versions)) > 0:
            await eventually(lambda: self.changes < self.limit, within=120, what="the writer may go on")
            inserted = range(new, new + min(left, self.random.randint(1, 50)))
            new = inserted.stop
            changed = [id_ for id_ in {self.random.randrange(new) for _ in range(8)} if id_ in self.versions]
            rolled_back = self.random.random() < 0.05
            async with self.connection.transaction(force_rollback=rolled_back):
                await self.connection.execute(INSERT, [list(inserted)])
                await self.connection.execute(UPDATE, [changed])
            if not rolled_back:
                self.versions.update(dict.fromkeys(inserted, 0))
                self.versions.update({id_: self.versions[id_] + 1 for id_ in changed})
                self.updates.update((id_, self.versions[id_]) for id_ in changed)


def workers(service: Service) -> list[int]:
    """The process ids of its workers."""
    return [int(pid) for pid in Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()]


async def kill(service: Service, how: Kill) -> None:
    """SIGKILL, without a word before; the service may still be starting."""
    if how == "worker":  # only a service that is up replaces it: a worker that cannot start stops the start
        await service.logs("api")
        await eventually(lambda: workers(service), within=60)
    pids = workers(service)
    for pid in {"service": [service.pid, *pids], "parent": [service.pid], "worker": pids}[how]:
        with suppress(ProcessLookupError):
            os.kill(pid, SIGKILL)
    if how != "worker":
        await service.ended()


async def kill_one(service: Service, ledger: Ledger, chance: random.Random) -> bool:
    """Kill a worker, unless it holds a run that two have died with already: with the third, it would be taken for the
    murderer, and rightly fail.
    """
    pid = chance.choice(await eventually(lambda: workers(service), within=60))
    try:
        os.kill(pid, SIGSTOP)
        mine = list(ports_of(pid))
    except OSError:  # of the one that was killed before
        return False

    async def is_answered() -> bool:
        return int(await ledger.one(AT_WORK, mine)) == 0

    # What it asked for just before it stood still may be a claim.
    await eventually(is_answered, what="the server is done with what the worker asked for")
    suspects = await ledger.one(SUSPECTS, pid)
    os.kill(pid, SIGCONT if suspects else SIGKILL)
    if not suspects:
        print(f"killed worker {pid}")
    return not suspects


AT_WORK = "select count(*) from pg_stat_activity where state = 'active' and client_port = any (%s)"

SUSPECTS = """
    select count(*) from cdc_state.runs r join cdc_state.workers w on w.id = r.worker_id
     where w.pid = %s and r.rescues > 2
"""


@pytest.mark.timeout(600)
async def test_rows_written_while_the_service_is_killed_again_and_again_are_embedded_once(
    migrated_url: str, connect: Connect, tmp_path: Path
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    ledger = Ledger(await connect(migrated_url))
    await ledger.connection.execute(WATCH)
    await ledger.connection.execute(DOCUMENTS)
    writer = Writer(await connect(migrated_url), chance)

    async with OpenAIServer(latency=0.02, dimensions=DIMENSIONS) as provider, AsyncExitStack() as services:
        settings: Settings = {
            **write_function(tmp_path / "functions", migrated_url, "documents", batch=50),
            "CDC_LEASE": "2",
            "CDC_EMBED_MODEL": f"openai/test-{DIMENSIONS}",
            "OPENAI_BASE_URL": provider.url,
        }
        service = await services.enter_async_context(started(**settings))
        await service.logs("api")
        await is_backfilled(ledger.connection)  # rows that it finds have one more event each
        writing = asyncio.create_task(writer.write())
        for events, how in zip(
            sorted(chance.sample(range(ROWS - AHEAD), len(KILLS))), chance.sample(KILLS, len(KILLS)), strict=True
        ):

            async def is_time(events: int = events) -> bool:
                return await ledger.events() >= events

            writer.limit = events + AHEAD
            await eventually(is_time, within=120, what=f"{events} events are stored")
            print(f"kills the {how} after {await ledger.events()} events")
            await kill(service, how)
            if how != "worker":
                service = await services.enter_async_context(started(**settings))
        writer.limit = math.inf
        await writing
        await ledger.everything_is_done(writer.changes, within=120)
        await service.stop()

    await ledger.check()
    print(f"{len(await ledger.repeated_bodies())} bodies that were not recorded ran again")
    await check_events(ledger, writer)
    await check_vectors(ledger, writer)


async def test_a_burst_of_a_thousand_runs_is_done_by_two_workers_that_are_killed_again_and_again(
    ledger: Ledger, migrated_url: str, tmp_path: Path
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    settings = write_function(tmp_path / "functions", migrated_url, "rows", pause=0.02)
    async with running(**settings, CDC_LEASE="2", CDC_WORKERS="2", CDC_CONCURRENCY="100") as service:
        await ledger.insert(BURST)
        for bodies in sorted(chance.sample(range(3 * BURST - 300), WORKER_KILLS)):

            async def is_time(bodies: int = bodies) -> bool:
                return int(await ledger.one("select count(*) from bodies")) >= bodies

            await eventually(is_time, within=120, what=f"{bodies} bodies have begun")
            await eventually(lambda: kill_one(service, ledger, chance), within=60, what="a worker is killed")
        await ledger.everything_is_done(BURST, within=120)
        await service.stop()
    await ledger.check()
    await ledger.each_row_is_an_event()


async def check_events(ledger: Ledger, writer: Writer) -> None:
    """Each committed change is one event, and nothing else is."""
    told = await ledger.rows(
        "select name, (data -> 'new' ->> 'id')::bigint, (data -> 'new' ->> 'version')::integer from cdc_state.events"
    )
    inserted = [("db/documents.inserted", id_, 0) for id_ in writer.versions]
    updated = [("db/documents.updated", id_, version) for id_, version in writer.updates]
    found, committed = Counter(told), Counter(inserted + updated)
    assert (committed - found, found - committed) == (Counter(), Counter()), "changes without an event, and the reverse"
    assert dict(await ledger.rows("select id, version from documents")) == writer.versions


async def check_vectors(ledger: Ledger, writer: Writer) -> None:
    """Each row has the vector that the provider gives for its text."""
    stored = dict(await ledger.rows("select id, embedding::real[] from documents_embeddings"))
    assert stored.keys() == writer.versions.keys()
    expected = unit_vectors([text_of(id_, writer.versions[id_]) for id_ in stored], DIMENSIONS, full=DIMENSIONS)
    np.testing.assert_array_equal(np.array(list(stored.values()), np.float32), expected)
