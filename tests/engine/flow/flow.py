"""Events of one's own for an engine, and what flow control must never do, watched while runs go through."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import orjson
from psycopg.errors import DeadlockDetected

from cdc import Function
from cdc.events.hands import Hands
from cdc.events.intake import Taken, new_id
from cdc.store import functions
from cdc.store.events import Extra, Incoming
from tests.engine.harness import ENDED, Engine
from tests.servers import Connection
from tests.waiting import eventually

EARLY = 1_750_000_000_000_000

MISCOUNTED = """
    select g.name, g.taken, count(r.id)
      from cdc_state.gates g left join cdc_state.runs r on r.placed and g.name = any (r.gates)
     where g.name like 'concurrency/%' group by g.name having g.taken <> count(r.id)
"""


@dataclass
class Meter:
    """Counts how many bodies are at work at once, by key, and keeps the order in which they began."""

    now: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    began: list[Any] = field(default_factory=list)

    async def work(self, what: Any, *keys: str, pause: float = 0.005) -> None:
        self.began.append(what)
        for key in ("", *keys):
            self.now[key] += 1
            self.most[key] = max(self.most[key], self.now[key])
        await asyncio.sleep(pause)
        for key in ("", *keys):
            self.now[key] -= 1


@dataclass
class Flow:
    """An engine that events of one's own are sent to, over a connection of their own."""

    engine: Engine
    hands: Hands
    meter: Meter = field(default_factory=Meter)

    @classmethod
    async def of(cls, engine: Engine, conn: Connection) -> Flow:
        return cls(engine, Hands(conn))

    async def register(self, *registered: Function) -> None:
        """Make functions known without a worker: events are matched, nothing is claimed."""
        conn = self.engine.conn
        await conn.execute(
            "insert into cdc_state.workers (host, pid, functions, lease_until) values ('here', 1, %s, now() + '1 day')",
            [[function.id for function in registered]],
        )
        await functions.register(conn, [function.definition() for function in registered])

    async def send(
        self, name: str, *data: dict[str, Any], id: str | None = None, in_seconds: float | None = None
    ) -> Taken:
        """Send one event for each data, in one transaction."""
        ts = (
            EARLY
            if in_seconds is None
            else int((await self.one("select extract(epoch from now())")) + in_seconds) * 10**6
        )
        extra = None if id is None and in_seconds is None else Extra(id, scheduled=in_seconds is not None)
        taken = await self.hands.take([Incoming(new_id(), name, ts, orjson.dumps(item), None, extra) for item in data])
        self.engine.wake()
        return taken

    async def rows(self, query: str, *values: object) -> Sequence[tuple[Any, ...]]:
        return await (await self.engine.conn.execute(query.encode(), values or None)).fetchall()

    async def one(self, query: str, *values: object) -> Any:
        ((value,),) = await self.rows(query, *values)
        return float(value) if hasattr(value, "as_tuple") else value

    async def standing(self) -> Counter[str]:
        """How many runs stand where: at which kind of gate, or in the queue."""
        return Counter(
            dict(
                await self.rows(
                    "select coalesce(split_part(held_at, '/', 1), 'queue'), count(*)::int from cdc_state.runs"
                    " where ended_at is null group by 1"
                )
            )
        )

    async def later(self, seconds: float) -> None:
        """Set the clock forward for gates, and for runs that are not due."""
        await self._set(
            "update cdc_state.gates set free_at = greatest('epoch', free_at - make_interval(secs => %(s)s)),"
            " booked_until = greatest('epoch', booked_until - make_interval(secs => %(s)s))",
            seconds,
        )
        await self._set(
            "update cdc_state.runs set due_at = due_at - make_interval(secs => %(s)s),"
            " rank = rank - make_interval(secs => %(s)s), created_at = created_at - make_interval(secs => %(s)s)"
            " where ended_at is null",
            seconds,
        )
        self.engine.wake()

    async def _set(self, statement: LiteralString, seconds: float) -> None:
        """Rows of a whole table are locked in no order: the service may be in the middle of them, and is right."""
        while True:
            try:
                await self.engine.conn.execute(statement, {"s": seconds})
            except DeadlockDetected:
                continue
            return

    @asynccontextmanager
    async def two(self, *functions_: Function) -> AsyncIterator[None]:
        """Two workers that compete, each with connections of its own."""
        async with self.engine.working(*functions_), self.engine.working(*functions_):
            yield

    async def done(self, count: int, *, within: float = 60.0) -> list[dict[str, Any]]:
        """The runs, once `count` have ended; all gates count right then, and nothing stands anywhere."""

        async def all_ended() -> bool:
            self.engine.wake()
            return sum(run["status"] in ENDED for run in await self.engine.runs()) >= count

        await eventually(all_ended, within=within, what=f"{count} runs ended")
        assert await self.rows(MISCOUNTED) == []
        return await self.engine.runs()

    def outputs(self, runs: list[dict[str, Any]]) -> list[Any]:
        return [run["output"] for run in runs if run["status"] == "completed"]
