"""A small SDK: an app's function as a generator of steps, replayed for each call as the protocol has it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import orjson

from cdc.ai.call import Call as ModelCall
from cdc.authoring.context import Context
from cdc.authoring.function import FlowControl, Function
from cdc.authoring.triggers import EventTrigger
from cdc.remote.answer import Answer, Op, Planned, Returned, Threw, Unreached
from cdc.remote.call import DISCOVERY, App, Call
from cdc.remote.conversation import Conversation

APP = App("scripted", "http://127.0.0.1:1/api/inngest", "py:v0.5.19")


class Failed(Exception):
    """A step that has failed for good, where the function awaits it."""


class Broken(Exception):
    """What a body raises to have its step tried again, or not."""

    def __init__(self, message: str, *, final: bool = False, after: float | None = None) -> None:
        super().__init__(message)
        self.final = final
        self.after = after


class Step(NamedTuple):
    """A step that a function takes: with a body that runs in the app, or an opcode that the server serves."""

    id: str
    body: Callable[[], Any] | None = None
    op: str = ""
    name: str | None = None
    opts: Mapping[str, Any] | None = None

    @property
    def hashed(self) -> str:
        return hashlib.sha1(self.id.encode()).hexdigest()


Body = Generator[Step | list[Step], Any, Any]


@dataclass(slots=True)
class Sdk:
    """An app with one function; `calls` are those that came. It is away for the first `away` of them."""

    body: Callable[[Mapping[str, Any]], Body]
    version: int = 2
    away: int = 0
    calls: list[Call] = field(default_factory=list)

    async def call(self, app: App, call: Call) -> Answer:
        self.calls.append(call)
        if self.away:
            self.away -= 1
            return Unreached("it is away")
        memos = {step: orjson.loads(orjson.dumps(memo)) for step, memo in call.memos.items()}
        function = self.body(call.events[0])
        sent: Any = None
        thrown: Exception | None = None
        while True:
            try:
                wanted = function.throw(thrown) if thrown else function.send(sent)
            except StopIteration as ended:
                return Returned(ended.value)
            except Broken as broken:
                return Threw({"name": "Broken", "message": str(broken)}, None, broken.final, broken.after)
            except Failed as failed:
                return Threw({"name": "Failed", "message": str(failed)}, None, True)
            sent, thrown = None, None
            group = wanted if isinstance(wanted, list) else [wanted]
            fresh = [step for step in group if step.hashed not in memos]
            if call.target != DISCOVERY and (aim := [step for step in fresh if step.hashed == call.target]):
                return self._told([self._executed(aim[0])])
            if fresh:
                if call.target != DISCOVERY:
                    return Threw({"name": "NotFound", "message": "no such step"}, None, True)
                return self._told(self._planned(fresh, call.planned))
            results = [memos[step.hashed] for step in group]
            errors = [memo["error"] for memo in results if isinstance(memo, dict) and "error" in memo]
            if errors:
                thrown = Failed(errors[0]["message"])
                continue
            values = [memo["data"] if isinstance(memo, dict) and memo.keys() == {"data"} else memo for memo in results]
            sent = values if isinstance(wanted, list) else values[0]

    def _told(self, told: list[tuple[Op, Broken | None]]) -> Planned:
        broken = next((error for _, error in told if error), None)
        final = broken is not None and broken.final
        return Planned([op for op, _ in told], self.version, final, broken.after if broken else None)

    def _planned(self, fresh: list[Step], planned: bool) -> list[tuple[Op, Broken | None]]:
        if len(fresh) == 1 and not planned and fresh[0].body:
            return [self._executed(fresh[0])]
        return [(self._op(step, "StepPlanned" if step.body else step.op), None) for step in fresh]

    def _executed(self, step: Step) -> tuple[Op, Broken | None]:
        assert step.body is not None, "only those are executed here"
        try:
            return self._op(step, "StepRun", step.body()), None
        except Broken as broken:
            error = {"name": "Broken", "message": str(broken)}
            return self._op(step, "StepFailed" if broken.final else "StepError", error=error), broken

    def _op(self, step: Step, op: str, data: Any = None, error: Mapping[str, Any] | None = None) -> Op:
        return Op(op, step.hashed, step.id, step.name, step.opts, data, error)


@dataclass(slots=True)
class Around:
    """What a conversation needs besides its run."""

    caller: Sdk

    async def infer(self, opts: Mapping[str, Any]) -> tuple[Any, ModelCall]:
        return {"said": opts["body"]}, ModelCall("chat", "openai", "gpt-4o", 0.1)

    async def fetch(self, opts: Mapping[str, Any]) -> Any:
        return {"url": opts["url"], "status_code": 200}

    def call_in(self, result: Any) -> ModelCall | None:
        return None

    def now(self) -> float:
        return time.time()

    def resolved(self, function_id: str) -> str:
        return function_id

    def patience(self, app: App) -> float:
        return 1.0


def remote(id: str, sdk: Sdk, on: str = "db/users.inserted", retries: int = 4, **flow: Any) -> Function:
    """The app's function, as a worker executes it."""

    async def handler(context: Context) -> Any:
        return await Conversation(APP, id, retries, context, context.step, Around(sdk)).run()  # type: ignore[arg-type] # as service does

    return Function(id, (EventTrigger(on),), handler, id, retries, cast("FlowControl", flow))
