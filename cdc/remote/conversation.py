"""One execution of a run whose function an app has: the app is called until it returned, failed, or only waits.

Each call sends all that is known; what the SDK answers are steps (protocol section 4.5). Those that it executed are
recorded, those that it planned are executed by calls of their own, and for the others the engine sleeps, waits,
invokes, or asks. When all that was planned together has ended, the app is called once more; an SDK that races its
steps, as soon as one of them has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from cdc.ai.call import Call as ModelCall
from cdc.authoring.context import Context
from cdc.errors import NonRetriableError, StepError, Thrown
from cdc.remote import planning
from cdc.remote.answer import Answer, Op, Planned, Returned, Threw, Unreached
from cdc.remote.call import DISCOVERY, App, Call
from cdc.remote.deferring import Defers
from cdc.remote.driven import Driven, Elsewhere, Execute, Surroundings
from cdc.remote.memos import hashed, memo, steps_of, told_error, told_event
from cdc.remote.opcodes import sleep_until
from cdc.remote.throwing import AppAway, failed, thrown
from cdc.store.json import encoded
from cdc.store.runs import Memo

MOST_EMPTY = 20
"""Calls one after the other that came to nothing at all: an SDK that answers so would be called for ever."""

_JOINED = 2
"""The request version from which on steps that were planned together are joined by the server."""


class Conversation:
    """Of one run that is in memory."""

    def __init__(
        self, app: App, function_id: str, retries: int, context: Context, steps: Driven, around: Surroundings
    ) -> None:
        self._app = app
        self._function_id = function_id
        self._retries = retries
        self._context = context
        self._steps = steps
        self._elsewhere: Elsewhere = steps.elsewhere
        self._around = around
        self._events = [told_event(event) for event in context.events]
        self._attempt = context.attempt - 1
        self._version = -1
        self._calls = 0
        self._known: dict[str, orjson.Fragment] = {}
        self._defers = Defers()
        if planning.checkpoints(app):
            self._elsewhere.may_defer()
        self._inputs: dict[str, Any] = {}
        self._taken: set[str] = set()
        self._branches: dict[asyncio.Future[None], str] = {}
        self._racing: set[str] = set()

    async def run(self) -> Any:
        """What the function returned.

        Raises:
            Thrown, AppAway: it failed, or could not be called.
        """
        try:
            asks = self._resume()
            empty = 0
            while True:
                if asks:
                    answer = await self._discover()
                    if isinstance(answer, Returned):
                        return answer.output
                    empty = 0 if await self._begin(answer) else empty + 1
                    if empty > MOST_EMPTY:
                        raise NonRetriableError(f"the app answered {empty} calls without a step or a result")
                await self._until_more()
                asks = True
        finally:
            for branch in self._branches:
                branch.cancel()

    # --- what was begun before ---

    def _resume(self) -> bool:
        """Go on with steps that have not ended; whether the app may have more."""
        unfinished: dict[str, Memo] = {}
        self._defers.know(self._elsewhere.memos)
        for key, recorded in steps_of(self._elsewhere.memos):
            if planning.has_ended(recorded):
                self._know(hashed(key), memo(recorded.kind, recorded.data, recorded.error))
            elif recorded.kind in ("run", "wrap") and recorded.edit is not None:
                self._inputs[hashed(key)] = {"input": recorded.edit}
            else:
                unfinished[key] = recorded
        waits = False
        for key, recorded in unfinished.items():
            if recorded.kind in ("run", "wrap"):
                self._branch(key, self._execute(key, recorded.kind, partial(self._targeted, hashed(key)), None))
            elif recorded.kind in planning.WAITING:
                waits = True
                self._branch(key, self._wait_on(key))
        return waits or not self._branches

    async def _wait_on(self, key: str) -> None:
        await self._elsewhere.wait_on(key)
        self._know(hashed(key), None)

    def _know(self, step: str, ended: Any) -> None:
        """What a step came to, written once for all calls that send it."""
        self._known[step] = orjson.Fragment(encoded(ended))

    # --- calls ---

    async def _discover(self) -> Planned | Returned:
        planned = bool(self._branches)
        answer = await self._call(DISCOVERY, self._attempt, planned=planned)
        if isinstance(answer, Returned):
            return answer
        end, defers = planning.end_in(answer), planning.defers(answer)
        before = planning.before_the_end(answer) if end is not None else []
        is_over = isinstance(end, Returned) and not before
        if not planned and planning.checkpoints(self._app) and (defers or not is_over):
            await self._reread()
        await self._defer(defers)
        for op in before:
            if op.id not in self._known:
                await self._execute(op.key, planning.kind_of(op), partial(self._told, op), planning.given(op))
        if isinstance(end, Returned):
            return end
        if end is not None or not isinstance(answer, Planned):
            raise self._failure(end or answer)
        self._attempt, self._version = 0, answer.version
        self._elsewhere.starts_over()
        return answer

    async def _call(self, target: str, attempt: int, *, planned: bool) -> Answer:
        self._calls += 1
        call = Call(
            self._context.run_id,
            self._function_id,
            self._events,
            {**self._inputs, **self._known},
            [*self._known],
            target,
            attempt,
            self._retries + 1,
            planned,
            self._version,
            self._elsewhere.claim,
            self._calls,
            self._elsewhere.traceparent(""),
            self._defers.told,
        )
        with self._elsewhere:
            return await self._around.caller.call(self._app, call)

    async def _defer(self, ops: Sequence[Op]) -> None:
        """Keep runs that are deferred, before anything else of an answer: the run may end with that."""
        kept, refused = self._defers.take(ops)
        for step, reason in refused:
            self._context.logger.warning("A run is not deferred.", id=step, reason=reason)
        if kept:
            with self._elsewhere:
                await self._elsewhere.defer(kept)

    async def _reread(self) -> None:
        """Steps that the SDK recorded itself during the call."""
        memos = await self._elsewhere.reread()
        self._defers.know(memos)
        for key, recorded in steps_of(memos):
            if planning.has_ended(recorded) and hashed(key) not in self._known:
                self._know(hashed(key), memo(recorded.kind, recorded.data, recorded.error))
                self._elsewhere.starts_over()

    def _failure(self, answer: Threw | Unreached | Planned) -> Exception:
        if isinstance(answer, Threw):
            return failed(answer)
        reason = answer.reason if isinstance(answer, Unreached) else "the app answered with steps"
        return AppAway(reason, self._around.patience(self._app))

    # --- steps ---

    async def _begin(self, answer: Planned) -> bool:
        """Take the steps of an answer that are new; whether there was any."""
        ops = [op for op in answer.ops if op.op not in planning.LAZY]
        fresh = {op.id: op for op in ops if op.id not in self._taken and op.id not in self._known}
        self._racing |= {op.id for op in ops if answer.version < _JOINED or planning.races(op)}
        self._taken |= fresh.keys()
        alone = len(fresh) == 1 and not self._branches
        for op in fresh.values():
            taking = self._take(op, answer)
            if alone:
                await taking
            else:
                self._branch(op.key, taking)
        return bool(fresh or self._branches or planning.asks_again(answer))

    def _branch(self, key: str, taking: Awaitable[None]) -> None:
        self._taken.add(hashed(key))
        self._branches[asyncio.ensure_future(taking)] = hashed(key)

    async def _until_more(self) -> None:
        """Until all branches that are joined have ended, or one of those that race."""
        joined = {branch for branch, step in self._branches.items() if step not in self._racing}
        raced = False
        while self._branches and not raced:
            done, _ = await asyncio.wait(self._branches, return_when=asyncio.FIRST_COMPLETED)
            for branch in done:
                raced = self._branches.pop(branch) in self._racing or raced
                branch.result()
            joined -= done
            if not joined:
                return

    async def _take(self, op: Op, answer: Planned) -> None:
        opts = op.opts or {}
        match op.op:
            case "StepRun" | "Step":
                await self._execute(op.key, planning.kind_of(op), partial(self._told, op), planning.given(op))
            case "StepError" | "StepFailed":
                fail = partial(_fail, planning.threw(op, answer))
                await self._execute(op.key, planning.kind_of(op), fail, planning.given(op))
            case "StepPlanned":
                execute = partial(self._targeted, op.id)
                await self._execute(op.key, planning.kind_of(op), execute, planning.given(op))
            case "AIGateway":
                await self._execute(op.key, "infer", partial(self._infer, opts), planning.asked(opts))
            case "Gateway":
                await self._execute(op.key, "fetch", partial(self._fetch, opts), planning.asked(opts))
            case _:
                await self._wait_for(op, opts)
                self._know(op.id, None)

    async def _wait_for(self, op: Op, opts: Mapping[str, Any]) -> None:
        """What only ends in the database: the run is suspended under it."""
        steps = self._steps
        match op.op:
            case "Sleep":
                await steps.sleep(op.key, sleep_until(op, self._around.now()))
            case "WaitForEvent":
                event = str(opts.get("event") or op.name or "")
                await steps.wait_for_event(
                    op.key, event, planning.patience(op, self._around.now()), if_exp=opts.get("if") or None
                )
            case "WaitForSignal":
                await steps.wait_for_signal(
                    op.key, str(opts.get("signal") or ""), planning.patience(op, self._around.now())
                )
            case "InvokeFunction":
                function_id = self._around.resolved(str(opts.get("function_id") or ""))
                await steps.invoke(
                    op.key, function_id, planning.payload(opts), planning.patience(op, self._around.now())
                )
            case _:
                raise NonRetriableError(f"the app's SDK asks for {op.op!r}, which is not known here")

    async def _execute(self, key: str, kind: str, execute: Execute, given: Any) -> None:
        """Have a step executed until it has a result, or has failed for good."""
        try:
            data = await self._elsewhere.take(key, kind, execute, given)
        except StepError as failed:
            cause = failed.__cause__
            more = cause.more if isinstance(cause, Thrown) else {}
            error = {"name": failed.name, "message": failed.message, **more}
            self._know(hashed(key), {"error": told_error(kind, error)})
        else:
            self._know(hashed(key), {"data": data})

    async def _told(self, op: Op, attempt: int) -> tuple[Any, float, ModelCall | None]:
        call = self._around.call_in(op.data) if planning.kind_of(op) == "wrap" else None
        return op.data, op.took, call and replace(call, latency=op.took)

    async def _targeted(self, step: str, attempt: int) -> tuple[Any, float, ModelCall | None]:
        answer = await self._call(step, attempt, planned=True)
        await self._defer(planning.defers(answer))
        if not isinstance(answer, Planned):
            if isinstance(answer, Returned):
                raise NonRetriableError("the function returned without the step that it had planned")
            raise self._failure(answer)
        op = next((op for op in answer.ops if op.id == step), None)
        if op is None:
            raise NonRetriableError("the app does not know the step any more that it had planned")
        if op.op in ("StepError", "StepFailed"):
            raise thrown(planning.threw(op, answer))
        return await self._told(op, attempt)

    async def _infer(self, opts: Mapping[str, Any], attempt: int) -> tuple[Any, float, ModelCall | None]:
        data, call = await self._around.infer(opts)
        return data, call.latency, call

    async def _fetch(self, opts: Mapping[str, Any], attempt: int) -> tuple[Any, float, ModelCall | None]:
        return await self._around.fetch(opts), 0.0, None


async def _fail(threw: Threw, attempt: int) -> tuple[Any, float, ModelCall | None]:
    raise thrown(threw)
