"""Steps whose bodies run elsewhere, in an app: what its SDK tells of them is recorded as if they had run here."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cdc import faults
from cdc.ai.call import Call
from cdc.engine import inputs, memo
from cdc.engine.ai_steps import Aside
from cdc.engine.inference import call_record
from cdc.engine.journal import Entry
from cdc.engine.suspension import Until
from cdc.store.inferences import Beside
from cdc.store.journal import StepRecord
from cdc.store.json import document
from cdc.store.runs import Memo

if TYPE_CHECKING:
    from cdc.engine.steps import LiveSteps, Taken


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What an app's run needs of the engine besides `cdc.Step`; see `cdc.remote.driven`."""

    steps: LiveSteps

    @property
    def claim(self) -> str:
        """The worker and the claim that hold the run."""
        return f"{self.steps.database.worker_id}.{self.steps.claims}"

    @property
    def memos(self) -> Mapping[str, Memo]:
        """What was recorded when this execution began; steps that ended in the order in which they did."""
        return self.steps.memos

    async def reread(self) -> Mapping[str, Memo]:
        """What is recorded by now."""
        return await self.steps.reread(self.steps.run_id)

    def may_defer(self) -> None:
        """What the run defers may be recorded while its app is called: it is looked for when the run ends."""
        self.steps.suspension.defers = True

    async def defer(self, kept: Sequence[tuple[str, str, str]]) -> None:
        """Record what the run defers until its end, or takes back: key, kind and JSON; durable on return."""
        steps = self.steps
        self.may_defer()
        records = [StepRecord(steps.run_id, key, kind, 1, data, ended=True) for key, kind, data in kept]
        await steps.write("a deferred run", Entry(records))

    def starts_over(self) -> None:
        """The function came further: its attempts count from the first again."""
        self.steps.suspension.came_further = True

    def traceparent(self, key: str) -> str | None:
        """The trace of a call."""
        return self.steps.place.traceparent(key)

    def __enter__(self) -> None:
        """The app is called for the length of the block: the run has more to do than to wait."""
        self.steps.suspension.__enter__()

    def __exit__(self, *exception: object) -> None:
        self.steps.suspension.__exit__(*exception)

    async def wait_on(self, key: str) -> None:
        """Wait for what a step waits for by its record; returns only when that is a sleep that is over."""
        recorded = self.steps.memos[key]
        left = max(0.0, recorded.due_in or 0.0)
        if recorded.kind != "sleep":
            await self.steps.wait(Until("waiting", left))
        elif left:
            await self.steps.wait(Until("sleeping", left))

    async def take(
        self,
        key: str,
        kind: str,
        execute: Callable[[int], Awaitable[tuple[Any, float, Call | None]]],
        given: Any = None,
    ) -> Any:
        """Have a step executed, which is called with the number of its failed attempts, and record its result, how many
        seconds it took, and the call of a model that it was, if any. `given` is its input.

        Raises:
            StepError: it failed on its last attempt.
        """
        steps = self.steps

        async def body(step: Taken) -> str:
            data, took, call = await execute(step.attempts)
            written = memo.dump(f"the result of step {key!r}", data)
            faults.point("step.ran")
            good = step.good(steps.run_id, written, time.monotonic() - took)
            await steps.record(good, beside=[self._beside(step, call)] if call else ())
            return written

        def failed(step: Taken, error: BaseException, took: float) -> Aside | None:
            call = getattr(error, "call", None)
            return Aside(self._beside(step, call), None) if isinstance(call, Call) else None

        return await steps.memoised(key, body, _same, kind=kind, failed=failed, given=partial(_given, given))

    def _beside(self, step: Taken, call: Call) -> Beside:
        steps = self.steps
        steps.suspension.asked = True
        return Beside(
            steps.run_id, step.key, None, call_record(call, steps.run_id, step.key, step.attempt, steps.function_id)
        )


def _given(value: Any) -> str | None:
    return inputs.kept(partial(document, value)) if value else None


def _same(value: Any) -> Any:
    return value
