"""Rows to vectors, ours and pgai's, by turns, on one server and with one provider; and what their writers pay.

Rows of about 1 kB, 1,536 dimensions, a provider that takes 100 ms a request, vectors in a table of their own. The clock
runs from the first request to the last vector. pgai's rows wait in its queue by then, and its CPU counts from there;
ours are being inserted, and our CPU counts from the INSERT's begin, as does our clock in a figure of its own. Each
setting of pgai, and each round, has a fresh database.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import httpx

from tests.benchmarks import cpu, writers
from tests.benchmarks.embed import TARGET, embedded, provider_beside, requests
from tests.benchmarks.figures import Figure
from tests.benchmarks.ground import Ground
from tests.benchmarks.peers.peer import PGAI, started
from tests.benchmarks.service import service
from tests.benchmarks.texts import INSERT, TABLE

OURS = "cdc"
_ROUNDS = 3
_QUEUED = "pgai"
_EMPTY = "select not exists (select from ai._vectorizer_q_1)"
_STORED = "select count(distinct id) = %s from notes_vectors"


@dataclass(frozen=True, slots=True)
class Setting:
    """How pgai is told to work."""

    chunked: bool
    batch: int
    at_once: int


DEFAULT = "pgai, default"
IN_FLIGHT = "pgai, no chunks, 50 x 10 in flight"
SETTINGS = {
    DEFAULT: Setting(chunked=True, batch=50, at_once=1),
    IN_FLIGHT: Setting(chunked=False, batch=50, at_once=10),
    "pgai, no chunks, 500 x 4 in flight": Setting(chunked=False, batch=500, at_once=4),
    "pgai, no chunks, 1,000 x 1 in flight": Setting(chunked=False, batch=1000, at_once=1),
}


class _Pace(NamedTuple):
    """What `count` rows came to: CPU in ms a row. `in_all`: the rows a second of who began with the INSERT."""

    per_second: float
    requests: float
    own_cpu: float
    postgres_cpu: float
    in_all: float = 0.0


_UNITS = {"rows a second": "rows/s", "requests": "requests", "its CPU": "ms/row", "CPU of Postgres": "ms/row"}


async def embedding(ground: Ground) -> list[Figure]:
    """5,000 rows."""
    count = ground.size(5_000, 100)
    paces: dict[str, list[_Pace]] = {OURS: [], **{name: [] for name in SETTINGS}}
    async with provider_beside() as provider:
        for _ in range(ground.size(_ROUNDS, 1)):
            paces[OURS].append(await _ours(ground, provider, count))
            for name, setting in SETTINGS.items():
                paces[name].append(await _pgai(ground, provider, setting, count))
    figures = [figure for name, of_rounds in paces.items() for figure in _figures(name, of_rounds)]
    best = [name for name in SETTINGS if name != DEFAULT]
    in_all = median(pace.in_all for pace in paces[OURS])
    figures.append(Figure(f"{OURS}, rows a second from the INSERT's begin", in_all, "rows/s"))
    return [
        *figures,
        _ratio(paces, [DEFAULT], "pgai's default", 20.0),
        _ratio(paces, [IN_FLIGHT], "pgai's 50 x 10 in flight", 5.0),
        _ratio(paces, best, "pgai's fastest of these", 5.0),
    ]


async def writing(ground: Ground) -> list[Figure]:
    """The statements of `make bench ARGS=writers`, and the same on a table with pgai's triggers."""
    async with ground.database() as db, started(PGAI, db.url) as pgai:
        await db.run(*(writers.TABLE.format(table=table) for table in (writers.UNWATCHED, _QUEUED)))
        await pgai.ask("prepare")
        await pgai.ask("create", table=_QUEUED, provider="http://127.0.0.1/v1", chunked=False, batch=50, at_once=1)
        async with writers.watching(db):
            taken = await writers.costs(ground, db, [writers.UNWATCHED, writers.WATCHED, _QUEUED])
    return writers.figures(taken)


async def _ours(ground: Ground, provider: str, count: int) -> _Pace:
    async with ground.database() as db:
        await db.run(TABLE)
        async with service(db.url, OPENAI_BASE_URL=provider, OPENAI_API_KEY="any", CDC_EMBED="notes(body)") as running:
            target = await db.ask(TARGET)
            await embedded(db, target, 1)  # connections are open from now on
            asked = await requests(provider)
            async with httpx.AsyncClient() as client:
                arrivals = _Arrivals(client, provider)
                await arrivals.begin()
                with cpu.spent(own=running.pid, postgres=db.postmaster) as used:
                    began = time.perf_counter()
                    inserting = asyncio.create_task(embedded(db, target, count))
                    first = await arrivals.first()
                    seconds = await inserting
            pace = _pace(count, began + seconds - first, await requests(provider) - asked, used)
            return pace._replace(in_all=count / seconds)


async def _pgai(ground: Ground, provider: str, setting: Setting, count: int) -> _Pace:
    told = {"chunked": setting.chunked, "batch": setting.batch, "at_once": setting.at_once}
    async with ground.database() as db, started(PGAI, db.url) as pgai:
        await pgai.ask("prepare")
        await db.run(TABLE)
        await pgai.ask("create", table="notes", provider=provider, **told)
        await db.run(INSERT.format(count=count))
        await db.settle()
        asked = await requests(provider)
        async with httpx.AsyncClient() as client:
            arrivals = _Arrivals(client, provider)
            await arrivals.begin()
            await pgai.ask("work")
            began = await arrivals.first()
        with cpu.spent(own=pgai.pid, postgres=db.postmaster) as used:
            await db.until(_EMPTY, within=600.0)
            seconds = time.perf_counter() - began
        assert (await pgai.ask("worked"))["content"], "its worker failed; what it said is above"
        assert await db.ask(_STORED, count), "some rows have no vector"
        return _pace(count, seconds, await requests(provider) - asked, used)


class _Arrivals:
    """Sees when the provider is asked for the first time from now on, over a connection that is open already."""

    def __init__(self, client: httpx.AsyncClient, provider: str) -> None:
        self._client = client
        self._stats = provider.replace("/v1", "/stats")
        self._before = 0

    async def begin(self) -> None:
        """From now on."""
        self._before = await self._count()

    async def first(self) -> float:
        """When that was, by `time.perf_counter`."""
        while await self._count() == self._before:  # noqa: ASYNC110 - the provider has no event for us
            await asyncio.sleep(0.005)
        return time.perf_counter()

    async def _count(self) -> int:
        return int((await self._client.get(self._stats)).json()["arrived"])


def _pace(count: int, seconds: float, asked: int, used: dict[str, float]) -> _Pace:
    return _Pace(count / seconds, asked, used["own"] * 1000 / count, used["postgres"] * 1000 / count)


def _figures(name: str, of_rounds: list[_Pace]) -> list[Figure]:
    """Medians."""
    return [
        Figure(f"{name}, {what}", median(values), unit)
        for (what, unit), values in zip(_UNITS.items(), zip(*of_rounds, strict=True), strict=False)
    ]


def _ratio(paces: dict[str, list[_Pace]], theirs: list[str], named: str, goal: float) -> Figure:
    """The median of the rounds' ratios to the fastest of these."""
    fastest = [max(pace.per_second for pace in of_round) for of_round in zip(*map(paces.get, theirs), strict=True)]
    ratios = [ours.per_second / other for ours, other in zip(paces[OURS], fastest, strict=True)]
    return Figure(f"{OURS} to {named}, rows a second", median(ratios), "times", at_least=goal)
