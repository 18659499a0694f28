"""Two readers of one slot: the service, and Postgres's own pg_recvlogical."""

from __future__ import annotations

import asyncio
import time
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from resource import RUSAGE_CHILDREN, getrusage

from cdc.listener.listener import READ
from cdc.lsn import Lsn, Position, render
from cdc.wal.stream import ReplicationStream
from cdc.wal.transactions import Transactions
from tests.benchmarks import cpu, memory
from tests.benchmarks.ground import Database
from tests.benchmarks.service import service

_BEGUN, _ENDED = b"streaming initiated", b"end position"
PASSED = """
select coalesce(bool_or(c.end_lsn > %s::pg_lsn), false)
  from cdc_state.checkpoints c join cdc_state.sources s on s.id = c.source_id
 where s.retired_at is null
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """Seconds from the first byte asked for to the last one dealt with, and the CPU seconds they took.

    `peak` is the most memory that the service has had, in bytes.
    """

    seconds: float
    own_cpu: float
    postgres_cpu: float
    peak: int = 0


async def read_by_service(db: Database, slot: str, end: Lsn) -> Reading:
    """Until everything before `end` is stored."""
    async with service(db.url, CDC_WORKERS="0", CDC_SLOT=slot) as running:
        with cpu.spent(own=running.pid, postgres=db.postmaster) as used:
            await db.until(PASSED, render(end))
            ended = time.time()
        return Reading(ended - running.listening_at, used["own"], used["postgres"], memory.peak(running.pid))


async def read_by_decoder(db: Database, slot: str, end: Lsn) -> Reading:
    """Until everything before `end` is read and decoded, in this process; it is thrown away."""
    transactions = Transactions(Position(0, -1))
    with cpu.spent(postgres=db.postmaster) as used:
        async with await ReplicationStream.open(db.url, slot=slot, publications=["cdc"], start=0) as stream:
            began, own = time.perf_counter(), time.process_time()
            while stream.received < end:
                transactions.feed(await stream.receive(READ))
            seconds, own = time.perf_counter() - began, time.process_time() - own
    return Reading(seconds, own, used["postgres"])


async def read_by_recvlogical(db: Database, slot: str, end: Lsn) -> Reading:
    """Until everything before `end` is received; it is thrown away."""
    command = [str(db.binaries / "pg_recvlogical"), "--start", "--no-loop", "--verbose", "--file=/dev/null"]
    command += [f"--dbname={db.url}", f"--slot={slot}", f"--endpos={render(end)}"]
    command += ["--option=proto_version=1", "--option=publication_names=cdc", "--option=messages=true"]
    own = -_of_ended_children()
    with cpu.spent(postgres=db.postmaster) as used:
        process = await asyncio.create_subprocess_exec(*command, stderr=PIPE)
        assert process.stderr is not None, "it has a pipe"
        at: dict[bytes, float] = {}
        async for line in process.stderr:
            at |= {sign: time.perf_counter() for sign in (_BEGUN, _ENDED) if sign in line}
        await process.wait()
    own += _of_ended_children()
    return Reading(at[_ENDED] - at[_BEGUN], own, used["postgres"])


def _of_ended_children() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
