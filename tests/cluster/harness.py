"""A server's side of the SDK protocol, in memory, for one app over real HTTP. Nothing is waited for: when nothing else
is left to do, the first sleep or wait that a run came to is over.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from cdc.ai.infer import Models
from cdc.authoring.context import Database, Embeddings
from cdc.authoring.function import Function
from cdc.cluster.app import app_of
from cdc.cluster.handling import Around
from cdc.web.server import Web
from tests.engine.harness import NoEmbeddings
from tests.servers import Connection

Memo = Any
Answer = Callable[[Mapping[str, Any]], Memo]
"""What an operation comes to, which the app does not do itself."""


class Item(NamedTuple):
    """A call that is due. `step` is `step`, or the hashed id of a planned one."""

    step: str = "step"
    attempt: int = 0


@dataclass
class Ended:
    """A run. `calls`: the operations that each call was answered with, by their names; `retry_after`: headers."""

    status: str = ""
    output: Any = None
    calls: list[list[str]] = field(default_factory=list)
    retry_after: list[str] = field(default_factory=list)


class NoDatabase:
    """For functions that use none."""

    def connection(self) -> AbstractAsyncContextManager[Connection]:
        raise AssertionError("these functions use no database")


class Source(NamedTuple):
    """What handlers reach."""

    db: Database
    embeddings: Embeddings
    is_known: bool = True


class Cluster:
    """`registered` is what the app said of itself, `sent` the events that came. `max_attempts` is of each call."""

    def __init__(self) -> None:
        self.url = ""
        self.app_url = ""
        self.registered: dict[str, Any] = {}
        self.sent: list[dict[str, Any]] = []
        self.max_attempts = 4
        self.answers: dict[str, Answer] = {"WaitForEvent": lambda _: None, "Sleep": lambda _: None}
        self.http: aiohttp.ClientSession

    async def sync(self) -> dict[str, Any]:
        """What the app registers, by the ids of its functions."""
        async with self.http.put(self.app_url) as answer:
            assert answer.status == 200, await answer.text()
        return {function["id"]: function for function in self.registered["functions"]}

    async def run(self, function: str, *events: dict[str, Any]) -> Ended:
        """Call a function until its run has ended."""
        run = _Run(self, function, events)
        return await run.go()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Cluster]:
        app = web.Application()
        app.router.add_post("/fn/register", self._register)
        app.router.add_post("/e/{key}", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            async with aiohttp.ClientSession() as self.http:
                yield self
        finally:
            await runner.cleanup()

    async def _register(self, request: web.Request) -> web.Response:
        self.registered = await request.json()
        return web.json_response({"ok": True, "modified": True})

    async def _take(self, request: web.Request) -> web.Response:
        events = await request.json()
        self.sent.extend(events)
        return web.json_response({"ids": [f"internal-{event['id']}" for event in events], "status": 200})


class _Run:
    def __init__(self, cluster: Cluster, function: str, events: Sequence[dict[str, Any]]) -> None:
        self._cluster = cluster
        self._function = function
        self._events = events
        self._memos: dict[str, Memo] = {}
        self._stack: list[str] = []
        self._known: set[str] = set()
        self._due = deque([Item()])
        self._later: deque[dict[str, Any]] = deque()
        self._plans = False
        self.ended = Ended()

    async def go(self) -> Ended:
        while not self.ended.status:
            if not self._due:
                operation = self._later.popleft()
                memo = self._cluster.answers[operation["op"]](operation)
                self._end(operation["id"], await memo if inspect.isawaitable(memo) else memo)
            await self._call(self._due.popleft())
            assert len(self.ended.calls) < 1000, "it does not end"
        return self.ended

    async def _call(self, item: Item) -> None:
        body = {
            "ctx": {
                "run_id": "01RUN",
                "fn_id": "f",
                "attempt": item.attempt,
                "max_attempts": self._cluster.max_attempts,
                "disable_immediate_execution": self._plans,
                "use_api": False,
                "stack": {"stack": self._stack, "current": len(self._stack)},
            },
            "event": self._events[0],
            "events": self._events,
            "steps": self._memos,
            "use_api": False,
        }
        query = {"fnId": self._function, "stepId": item.step}
        async with self._cluster.http.post(self._cluster.app_url, params=query, json=body) as answer:
            said, final = await answer.json(), answer.headers.get("x-inngest-no-retry") == "true"
            if after := answer.headers.get("retry-after"):
                self.ended.retry_after.append(after)
            if answer.status == 206:
                self._take(item, said, final=final)
            elif answer.status == 200:
                self._finish("completed", said)
            elif final or item.attempt + 1 >= self._cluster.max_attempts:
                self._finish("failed", said)
            else:
                self._due.append(Item(item.step, item.attempt + 1))
                self.ended.calls.append(["error"])

    def _finish(self, status: str, output: Any) -> None:
        self.ended.calls.append([status])
        self.ended.status, self.ended.output = status, output

    def _take(self, item: Item, operations: list[dict[str, Any]], *, final: bool) -> None:
        self.ended.calls.append([f"{each['op']} {each['displayName']}" for each in operations])
        assert operations, "it names what comes next"
        self._plans = len(operations) > 1
        for each in operations:
            self._operate(item, each, final=final)

    def _operate(self, item: Item, operation: dict[str, Any], *, final: bool) -> None:
        id_, kind = operation["id"], operation["op"]
        is_last = item.attempt + 1 >= self._cluster.max_attempts
        if id_ in self._memos or (id_ in self._known and item.step != id_):
            return
        self._known.add(id_)
        if kind == "StepRun":
            self._end(id_, {"data": operation["data"]})
        elif kind == "StepPlanned":
            self._due.append(Item(id_))
        elif kind == "StepFailed" or (kind == "StepError" and (final or is_last)):
            self._end(id_, {"error": {key: operation["error"][key] for key in ("name", "message", "stack")}})
        elif kind == "StepError":
            self._known.discard(id_)
            self._due.append(Item(item.step, item.attempt + 1))
        else:
            self._later.append(operation)

    def _end(self, id_: str, memo: Memo) -> None:
        self._memos[id_] = memo
        self._stack.append(id_)
        self._due.append(Item())


@asynccontextmanager
async def serving(
    monkeypatch: pytest.MonkeyPatch,
    *functions: Function,
    db: Database | None = None,
    models: Models | None = None,
    embeddings: Embeddings | None = None,
    approximate: bool = False,
) -> AsyncIterator[Cluster]:
    """A cluster, and the functions served to it as app `shop`."""
    found = {each.id: each for function in functions for each in function.with_failure()}
    asked = models or Models({})
    async with Cluster().open() as cluster:
        monkeypatch.setenv("INNGEST_DEV", cluster.url)
        app = app_of(
            Around("shop", found, lambda _: Source(db or NoDatabase(), embeddings or NoEmbeddings()), asked),
            approximate=approximate,
        )
        served = Web(app, 0)
        served.start()
        cluster.app_url = f"{served.url}/api/inngest"
        try:
            yield cluster
        finally:
            await cluster.http.close()
            await served.stop()
            await asked.close()


def row_event(table: str, new: dict[str, Any] | None, verb: str = "inserted", **more: Any) -> dict[str, Any]:
    """A row event as the service forwards it."""
    data = {"new": new, "old": None, "unchanged": [], "schema": "public", "table": table, **more}
    return {"id": "e1", "name": f"db/{table}.{verb}", "ts": 1_750_000_000_000, "data": data, "user": {"id": 7}}
