"""The workers that are connected here, by app, and the calls that go to them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import orjson

from cdc.remote.answer import Answer, Unreached
from cdc.remote.call import App, Call
from cdc.remote.connect.asked import Asked, LeaseRanOut
from cdc.remote.connect.connection import Connection
from cdc.remote.connect.messages import ExecutorRequest, Kind, Status
from cdc.remote.connect.times import Times
from cdc.remote.reading import failed, read
from cdc.remote.request import body
from cdc.remote.traffic import OutOfReach, Traffic


class NoWorker(Exception):
    """There is none that takes a call; says why."""


class Connections:
    """Calls apps over the connections that they keep. `on_change` is called when workers come and go."""

    def __init__(
        self,
        traffic: Traffic,
        *,
        timeout: float,
        times: Times | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._traffic = traffic
        self._timeout = timeout
        self._times = times or Times()
        self._on_change = on_change
        self._open: set[Connection] = set()
        self._asked: dict[str, Asked] = {}
        self._waiting: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def open(self) -> frozenset[Connection]:
        """Those that are open."""
        return frozenset(self._open)

    def connected(self, app: str) -> bool:
        """Whether a worker of the app is here and takes calls."""
        return any(each.ready and app in each.worker.apps for each in self._open)

    def add(self, connection: Connection) -> None:
        """A worker came."""
        self._open.add(connection)
        self.changed(connection)

    def remove(self, connection: Connection) -> None:
        """It went."""
        self._open.discard(connection)
        connection.lost()
        self.changed(connection)

    def changed(self, connection: Connection) -> None:
        """It is ready now, or takes no more calls."""
        for app in connection.worker.apps:
            _wake(self._waiting[app])
        self._on_change()

    def asked(self, request_id: str, by: Connection | None = None) -> Asked | None:
        """A call in flight, that a connection of its app speaks of."""
        asked = self._asked.get(request_id)
        return asked if asked and (by is None or asked.app in by.worker.apps) else None

    async def call(self, app: App, call: Call) -> Answer:
        """What a call comes to; however it goes wrong is an answer, too."""
        asked = Asked(str(uuid.uuid4()), app.name, self._times.lease)
        try:
            request = _request(asked, call)
        except ValueError as error:
            return failed("StateUnwritable", f"What the run knows cannot be sent: {error}.", no_retry=True)
        try:
            async with self._traffic.call(app.name) as breaker:
                answer = await self._answer(asked, request)
                breaker.unreached() if isinstance(answer, Unreached) else breaker.reached()
                return answer
        except OutOfReach as out_of_reach:
            return Unreached(str(out_of_reach))

    async def _answer(self, asked: Asked, request: Any) -> Answer:
        self._asked[asked.request_id] = asked
        try:
            async with asyncio.timeout(self._timeout):
                return _read(await self._ask(asked, request))
        except NoWorker as none:
            return Unreached(str(none))
        except LeaseRanOut:
            return failed("WorkerLost", "The worker took the call and was not heard of again.")
        except TimeoutError:
            return failed("CallTimedOut", f"The app did not answer within {self._timeout:g} seconds (CDC_APP_TIMEOUT).")
        finally:
            del self._asked[asked.request_id]

    async def _ask(self, asked: Asked, request: Any) -> Any:
        """The reply, of the first worker that takes the call."""
        tried: set[Connection] = set()
        while not asked.is_answered:
            connection = await self._place(asked.app, tried)
            tried.add(connection)
            with self._carried(connection, asked):
                asked.offer()
                if await connection.send(Kind.EXECUTOR_REQUEST, request) and await asked.is_taken(self._times.taken):
                    return await asked.reply()
        return await asked.reply()

    @contextmanager
    def _carried(self, connection: Connection, asked: Asked) -> Iterator[None]:
        """While a call has a place on a connection; then one that waits for a place may have it."""
        with connection.carrying(asked):
            yield
        for app in connection.worker.apps:
            _wake(self._waiting[app], 1)

    async def _place(self, app: str, tried: set[Connection]) -> Connection:
        """The worker with the fewest calls, of those that were not asked yet.

        Raises:
            NoWorker: there is none, or none had a place in time.
        """
        until = asyncio.get_running_loop().time() + self._times.place
        while True:
            able = [each for each in self._open if each.ready and app in each.worker.apps and each not in tried]
            if not able:
                raise NoWorker(f"No worker of app {app!r} {'took the call' if tried else 'is connected'}.")
            if free := [each for each in able if each.has_place]:
                return min(free, key=lambda each: each.load)
            await self._freed(app, until)

    async def _freed(self, app: str, until: float) -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[app].append(waiting)
        try:
            async with asyncio.timeout_at(until):
                await waiting
        except TimeoutError:
            raise NoWorker(f"All workers of app {app!r} have as many calls as they take.") from None
        finally:
            self._waiting[app].remove(waiting)


def _request(asked: Asked, call: Call) -> Any:
    trace = orjson.dumps({"traceparent": call.traceparent, "tracestate": ""}) if call.traceparent else b""
    return ExecutorRequest(
        request_id=asked.request_id,
        app_name=asked.app,
        function_id=call.function_id,
        function_slug=call.function_id,
        step_id=call.target,
        request_payload=body(call),
        user_trace_ctx=trace,
        run_id=call.run_id,
        lease_id=asked.request_id,
        job_id=f"{call.run_id}.{call.target}",
    )


def _read(reply: Any) -> Answer:
    """A reply, read as the answer over HTTP that it stands for. JavaScript's SDK says DONE of what it will not have
    tried again.
    """
    statuses = {Status.NOT_COMPLETED: 206, Status.DONE: 400 if reply.no_retry else 200}
    headers = {
        "x-inngest-sdk": reply.sdk_version or "connect",
        "x-inngest-req-version": str(reply.request_version),
        "x-inngest-no-retry": "true" if reply.no_retry else "false",
        "retry-after": reply.retry_after,
    }
    return read(statuses.get(reply.status, 500), headers, reply.body, time.time())


def _wake(waiting: Iterable[asyncio.Future[None]], most: int | None = None) -> None:
    for each in islice((each for each in waiting if not each.done()), most):
        each.set_result(None)
