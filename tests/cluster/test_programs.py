"""Random programs end on a cluster as they end here: the engine's own, with its own model of what becomes of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from cdc import Context, RetryAfter, StepError, function
from cdc.authoring.function import Function
from tests.cluster.harness import serving
from tests.engine.programs import ERROR, RETRIES, Program, Run, programs

EXAMPLES = 25


def drawn() -> list[Program]:
    """Programs, the same each time."""
    found: list[Program] = []

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(program=programs)
    def draw(program: Program) -> None:
        found.append(program)

    draw()
    return found


class Interpreter:
    """The function that runs programs; `bodies` counts how often each succeeded."""

    def __init__(self) -> None:
        self.tries: Counter[str] = Counter()
        self.bodies: Counter[str] = Counter()

    def function(self) -> Function:
        return function("model", on="db/programs.inserted", retries=RETRIES)(self._handle)

    async def _handle(self, ctx: Context) -> list[Any]:
        name = ctx.event.id
        return await self._all(ctx, ctx.event.data["program"], name, "")

    async def _all(self, ctx: Context, program: Program, name: str, path: str) -> list[Any]:
        return [await self._one(ctx, list(each), name, f"{path}{number}") for number, each in enumerate(program)]

    async def _one(self, ctx: Context, instruction: list[Any], name: str, key: str) -> Any:
        match instruction:
            case ["parallel", branches]:
                calls = [
                    lambda n=n, each=each: self._all(ctx, each, name, f"{key}.{n}.") for n, each in enumerate(branches)
                ]
                return list(await ctx.group.parallel(calls))
            case ["invoke", program]:
                try:
                    return await ctx.step.invoke(key, "model", {"program": program, "path": f"{name}/{key}"})
                except StepError:
                    return ERROR
            case ["raise", times]:
                if ctx.attempt <= times:
                    raise RetryAfter("again", 0) if times == 1 else RuntimeError("again")
                return None
            case ["fail"]:
                raise ValueError("for good")
        return await self._step(ctx, instruction, name, key)

    async def _step(self, ctx: Context, instruction: list[Any], name: str, key: str) -> Any:
        if instruction[0] == "sleep":
            return await ctx.step.sleep(key, "1h")
        if instruction[0] == "wait":
            return await ctx.step.wait_for_event(key, "app/never", "1h")
        if instruction[0] == "send":
            await ctx.step.send_event(key, [])
            return key
        fails = instruction[1] if instruction[0] == "run" else 0
        try:
            return await ctx.step.run(key, self._body, f"{name}/{key}", key, fails)
        except StepError:
            return ERROR

    async def _body(self, place: str, key: str, fails: int) -> str:
        self.tries[place] += 1
        if self.tries[place] <= fails:
            raise RuntimeError("not yet")
        self.bodies[place] += 1
        return key


async def test_programs_end_as_the_engines_model_says(monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = Interpreter()
    async with serving(monkeypatch, interpreter.function()) as cluster:
        cluster.max_attempts = RETRIES + 1

        async def invoked(operation: Any) -> Any:
            data = operation["opts"]["payload"]["data"]
            child = await cluster.run(
                "shop-model", {"id": data["path"], "name": "inngest/function.invoked", "ts": 1, "data": data}
            )
            if child.status == "failed":
                return {"error": {"name": "Error", "message": "it failed", "stack": ""}}
            return {"data": child.output}

        cluster.answers["InvokeFunction"] = invoked
        for number, program in enumerate(drawn()):
            event = {"id": str(number), "name": "db/programs.inserted", "ts": 1, "data": {"program": program}}
            ended = await cluster.run("shop-model", event)
            model = Run(program)
            model.go_on()
            while not model.status:
                model.jump()
                model.go_on()
            assert (ended.status, ended.output if ended.status == "completed" else None) == (
                model.status,
                model.output if model.status == "completed" else None,
            ), program

    assert max(interpreter.bodies.values()) == 1, "a body that succeeded never runs again"
    assert len(interpreter.bodies) > EXAMPLES
