"""The engine does what its model does, whatever dies meanwhile.

Random programs run on a real database while workers are killed, connections are cut, events come and the clock jumps.
No run is lost or stuck, no recorded step runs again, each result is the model's. `MODEL_EXAMPLES=1000` tries longer.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from cdc import Context, Event, Function, NonRetriableError, RetryAfter, StepError, function
from cdc.engine.roster import Fixed
from cdc.engine.sources import AtSource
from cdc.engine.worker import Worker
from cdc.store import workers
from cdc.store.connect import connect, pool
from tests.engine.harness import Engine, NoEmbeddings, open_engine
from tests.engine.programs import ERROR, RETRIES, Program, Run, programs
from tests.engine.telling import tell
from tests.waiting import eventually

pytestmark = pytest.mark.timeout(600)

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
PROFILE = settings(
    max_examples=EXAMPLES or 12,
    stateful_step_count=12,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

_owner: ContextVar[int] = ContextVar("owner", default=0)


class WasCut(RetryAfter):
    """A body lost its connection, which is no failure that the model knows."""

    counts_as_attempt = False


ASTRAY = """cdc_state.steps s
 where s.kind = 'run' and s.attempts - (s.error is null)::integer
       <> (select count(*) from cdc_state.attempts a where a.run_id = s.run_id and a.step_id = s.id
              and a.error is not null and a.attempt <= s.attempts - (s.error is null)::integer)"""
"""Steps of whose failed attempts not all are kept, each once."""


class Interpreter:
    """The function that runs programs, and notes what its bodies do."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], Any] = {}
        self.violations: list[str] = []

    def function(self) -> Function:
        return function("model", on="db/programs.inserted", retries=RETRIES)(self.handle)

    async def handle(self, ctx: Context) -> list[Any]:
        return await self._all(ctx, ctx.event.data["new"]["program"], "")

    async def _all(self, ctx: Context, program: Program, path: str) -> list[Any]:
        return [await self._one(ctx, f"{path}{number}", each) for number, each in enumerate(program)]

    async def _one(self, ctx: Context, key: str, instruction: list[Any]) -> Any:
        match instruction:
            case ["parallel", branches]:
                calls = [lambda n=n, each=each: self._all(ctx, each, f"{key}.{n}.") for n, each in enumerate(branches)]
                return list(await ctx.group.parallel(calls))
            case ["raise", times]:
                if ctx.attempt <= times:
                    raise RetryAfter("the handler", "1h")
                return None
            case ["fail"]:
                raise NonRetriableError("for good")
        try:
            result = await self._step(ctx, key, instruction)
        except StepError:
            result = ERROR
        if self.seen.setdefault((ctx.run_id, key), result) != result:
            self.violations.append(f"step {key} gave {self.seen[ctx.run_id, key]!r}, and now {result!r}")
        return result

    async def _step(self, ctx: Context, key: str, instruction: list[Any]) -> Any:
        match instruction:
            case ["run", fails]:
                return await ctx.step.run(key, self._body, ctx, key, fails)
            case ["transaction"]:

                async def leave_a_row(conn: Any) -> str:
                    await conn.execute("insert into effects values (%s, %s)", [ctx.run_id, key])
                    return key

                return await ctx.step.transaction(key, leave_a_row)
            case ["send"]:
                await ctx.step.send_event(key, Event("app/sent", {"run": ctx.run_id, "step": key}))
                return key
            case ["wait", wanted]:
                event = await ctx.step.wait_for_event(key, "app/told", "1h", if_exp=f"async.data.key == {wanted}")
                return event and event.data
            case ["invoke", program]:
                return await ctx.step.invoke(key, "model", {"new": {"program": program}})
        return await ctx.step.sleep(key, "1h")

    async def _body(self, ctx: Context, key: str, fails: int) -> str:
        if (ctx.run_id, key) in self.seen:
            self.violations.append(f"step {key} ran again after its result was known")
        try:
            async with ctx.db.connection() as conn:
                query = "select attempts from cdc_state.steps where run_id = %s and id = %s"
                row = await (await conn.execute(query, [ctx.run_id, key])).fetchone()
        except psycopg.OperationalError:
            raise WasCut("its connection", 0) from None
        if (row[0] if row else 0) < fails:
            raise RetryAfter("the body", "1h")
        return key


class Engines(RuleBasedStateMachine):
    """Workers on one database, and the model of what they have to do."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.owners: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self.runner.get_loop().set_task_factory(self._task)
        self.interpreter = Interpreter()
        self.model: list[Run] = []
        self.told = 0
        self.ids: dict[int, int] = {}
        self.engine: Engine = self.run(self._open())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def _task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        self.owners[task] = _owner.get()
        return task

    async def _open(self) -> Engine:
        engine = await open_engine(self.url, await connect(self.url, autocommit=True))
        await engine.conn.execute(
            "truncate cdc_state.events, cdc_state.runs, cdc_state.steps, cdc_state.waits, cdc_state.workers,"
            " cdc_state.sources, cdc_state.checkpoints, effects restart identity cascade"
        )
        return engine

    @initialize(replayed=st.booleans(), count=st.integers(1, 2))
    def begin(self, replayed: bool, count: int) -> None:
        self.engine.replayed = replayed
        for _ in range(count):
            self.run(self._start_worker())

    async def _start_worker(self) -> None:
        number = max(self.ids, default=0) + 1
        _owner.set(number)
        ready = asyncio.Event()

        def is_ready(worker_id: int) -> None:
            self.ids[number] = worker_id
            ready.set()

        async def live() -> None:
            async with pool(self.url, size=2, name="test") as db:
                worker = Worker(
                    Fixed({"model": self.interpreter.function()}),
                    url=self.url,
                    connect=lambda: connect(self.url, autocommit=True),
                    sources=lambda source: AtSource(db, NoEmbeddings()),
                    lease=60,
                    drop_after_each_step=self.engine.replayed,
                )
                self.engine.workers.append(worker)
                await worker.run(ready=is_ready)

        self.life = asyncio.create_task(live())
        _owner.set(0)
        await ready.wait()

    # --- what happens -------------------------------------------------------------------------------------------

    @rule(program=programs)
    def insert(self, program: Program) -> None:
        plain = _plain(program)
        self.model.append(Run(plain))
        self.model[-1].go_on()
        self.run(self.engine.send("db/programs.inserted", {"program": plain}))

    @precondition(lambda self: self.model)
    @rule(key=st.integers(0, 1))
    def tell(self, key: int) -> None:
        self.run(self._settled())
        self.told += 1
        data = {"key": key, "number": self.told}
        for each in self.model:
            each.tell(key, data)
            each.go_on()
        self.run(tell(self.engine, "app/told", data))

    @precondition(lambda self: self.model)
    @rule()
    def jump(self) -> None:
        self.run(self._settled())
        for each in self.model:
            each.jump()
            each.go_on()
        self.run(self._jump())

    async def _jump(self) -> None:
        async with self.engine.conn.transaction():
            await self.engine.conn.execute(
                "update cdc_state.steps set wake_at = now() where ended_at is null and kind <> 'invoke'"
            )
            await self.engine.conn.execute(
                "update cdc_state.runs set due_at = now(), rank = now() where ended_at is null and status <> 'running'"
            )
        self.engine.wake()

    @precondition(lambda self: self.model)
    @rule(milliseconds=st.integers(0, 40))
    def kill(self, milliseconds: int) -> None:
        self.run(self._kill(milliseconds))
        self.run(self._settled())

    async def _kill(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)
        number = min(self.ids)
        # More than once: a run that suspends takes the first time for its own doing, and writes on.
        while doomed := self._alive(number):
            for task in doomed:
                task.cancel()
            await asyncio.wait(doomed, timeout=1)
        self.engine.workers.pop(0)
        await self.engine.conn.execute(
            "update cdc_state.workers set lease_until = now() - interval '1 s' where id = %s", [self.ids.pop(number)]
        )
        await self._start_worker()
        await workers.rescue(self.engine.conn)
        self.engine.wake()

    @precondition(lambda self: self.model)
    @rule(milliseconds=st.integers(0, 40))
    def cut(self, milliseconds: int) -> None:
        self.run(self._cut(milliseconds))
        self.run(self._settled())

    async def _cut(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)
        await self.engine.conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and backend_type = 'client backend' and application_name <> 'cdc heartbeat'"
        )

    # --- what must be true --------------------------------------------------------------------------------------

    async def _settled(self) -> None:
        """Returns once nothing goes on without the clock or an event, and all is as the model has it."""

        async def nothing_goes_on() -> bool:
            self.engine.wake()
            cursor = await self.engine.conn.execute(
                "select count(*) from cdc_state.runs"
                " where status = 'running' or (ended_at is null and due_at <= now() + interval '1 minute')"
            )
            return await cursor.fetchone() == (0,)

        await eventually(nothing_goes_on, within=120, what="nothing goes on")
        await self._check()

    async def _check(self) -> None:
        assert not self.interpreter.violations
        cursor = await self.engine.conn.execute(
            "select case when ended_at is null then '' else status end, output, invoker is null"
            " from cdc_state.runs order by event_ids"
        )
        runs = await cursor.fetchall()
        asked = [(status, output) for status, output, is_asked in runs if is_asked]
        assert asked == [(each.status, each.output) for each in self.model]
        family = [run for each in self.model for run in each.family()]
        assert Counter(status for status, _, _ in runs) == Counter(run.status for run in family)
        open_waits = sum(each[0] == "wait" for run in family if not run.status for each in run.open.values())
        assert await self._count("cdc_state.waits") == open_waits
        for kind, table in (("transaction", "effects"), ("send", "cdc_state.events where name = 'app/sent'")):
            done = sum(_kind(run.program, key) == kind for run in family for key in run.answers)
            assert await self._count(table) == done, kind
        assert await self._count(ASTRAY) == 0

    async def _count(self, table: str) -> int:
        row = await (await self.engine.conn.execute(f"select count(*) from {table}".encode())).fetchone()
        assert row is not None
        return int(row[0])

    def teardown(self) -> None:
        try:
            self.run(self._settled())
        finally:
            self.run(self._end())
            self.runner.close()

    async def _end(self) -> None:
        for worker in self.engine.workers:
            worker.stop(at_once=True)
        if left := self._alive(*self.ids):
            await asyncio.wait(left, timeout=60)
        await self.engine.conn.close()
        gc.collect()  # connections that killed workers were making: the server would wait a minute for a password

    def _alive(self, *numbers: int) -> list[asyncio.Task[Any]]:
        """Tasks of these workers that have not ended."""
        return [task for task, owner in self.owners.items() if owner in numbers and not task.done()]


def _plain(program: Any) -> Any:
    return [_plain(each) for each in program] if isinstance(program, list | tuple) else program


def _kind(program: Program, key: str) -> str:
    """Of the instruction with this key: numbers of instructions and branches, in turn."""
    numbers = [int(number) for number in key.split(".")]
    instruction = program[numbers[0]]
    for branch, number in zip(numbers[1::2], numbers[2::2], strict=True):
        instruction = instruction[1][branch][number]
    return str(instruction[0])


async def test_the_engine_does_what_the_model_does(migrated_url: str) -> None:
    async with await connect(migrated_url, autocommit=True) as conn:
        await conn.execute("create table effects (run_id uuid, step text)")
    machine = type("Machine", (Engines,), {"url": migrated_url})
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=PROFILE)
