"""Runs whose functions an app has: its SDK is a script here, the engine and its database are real."""

from __future__ import annotations

from typing import Any

import pytest

from cdc import Context, function
from cdc.remote.answer import Answer, Op, Planned
from cdc.remote.call import App, Call
from cdc.remote.memos import hashed
from tests.engine.harness import Engine
from tests.engine.scripted import Body, Broken, Failed, Sdk, Step, remote


def _broken() -> Body:
    raise Broken("broken")


async def ran(engine: Engine, sdk: Sdk, *, hurried: bool = False, **options: Any) -> dict[str, Any]:
    """The run of one event, once it has ended."""
    async with engine.working(remote("app-fn", sdk, **options)):
        await engine.send("db/users.inserted", {"name": "Ada"})
        (run,) = await engine.ended(hurried=hurried)
    return run


async def test_steps_that_an_app_takes_are_recorded_and_never_taken_again(engine: Engine) -> None:
    taken: list[str] = []

    def took(step: str, value: str) -> str:
        taken.append(step)
        return value

    def body(event: Any) -> Body:
        first = yield Step("a", lambda: took("a", event["data"]["new"]["name"]))
        second = yield Step("b", lambda: took("b", f"{first}!"))
        return [first, second]

    run = await ran(engine, Sdk(body))
    assert (run["status"], run["output"]) == ("completed", ["Ada", "Ada!"])
    assert taken == ["a", "b"]
    assert {id_: step["data"] for id_, step in (await engine.steps()).items()} == {"a": "Ada", "b": "Ada!"}


@pytest.mark.parametrize("fails", [True, False])
async def test_steps_told_of_with_the_functions_end_are_recorded_and_never_taken_again(
    engine: Engine, fails: bool
) -> None:
    step, done = Op("StepRun", hashed("a"), "a", data=1), Op("RunComplete", "c", "c", data=2)
    failed = Op("RunError", "c", "c", error={"name": "E", "message": "m"})

    class AtOnce(Sdk):
        """JavaScript of version 4, when nobody takes its checkpoints."""

        async def call(self, app: App, call: Call) -> Answer:
            self.calls.append(call)
            return Planned([done] if call.memos else [step, failed if fails else done], 2)

    sdk = AtOnce(lambda event: iter(()))  # type: ignore[arg-type, return-value] # it has no body
    run = await ran(engine, sdk, hurried=True)
    assert (run["status"], run["output"]) == ("completed", 2)
    assert len(sdk.calls) > fails
    assert all([*call.memos] == [hashed("a")] for call in sdk.calls[1:])
    assert (await engine.steps())["a"]["data"] == 1


async def test_steps_planned_together_are_taken_by_calls_of_their_own_and_joined_by_one(live_engine: Engine) -> None:
    def body(event: Any) -> Body:
        both = yield [Step("a", lambda: 1), Step("b", lambda: 2)]
        return (yield Step("after", lambda: sum(both)))

    sdk = Sdk(body)
    run = await ran(live_engine, sdk)
    assert run["output"] == 3
    assert len(sdk.calls) == 5, "plan, a, b, one that joins them and takes the step after, and the last"
    assert [call.planned for call in sdk.calls] == [False, True, True, False, False]


async def test_an_app_that_races_its_steps_is_called_when_one_has_ended(engine: Engine) -> None:
    def body(event: Any) -> Body:
        yield [Step("quick", lambda: 1), Step("slow", op="Sleep", name="1h")]

    def racing(event: Any) -> Body:
        yield Step("quick", lambda: 1)
        return "won"

    sdk = Sdk(body, version=1)

    class Racing(Sdk):
        """Promise.race: with the quick one's memo the function returns."""

    async with engine.working(remote("app-fn", sdk)):
        await engine.send("db/users.inserted", {})
        await engine.run_is("sleeping")
        sdk.body = racing
        (run,) = await engine.ended(hurried=True)
    assert run["output"] == "won"


async def test_a_step_that_fails_is_tried_again_alone_and_its_failure_can_be_caught(engine: Engine) -> None:
    attempts: list[int] = []

    def fails() -> None:
        attempts.append(1)
        raise Broken("not yet")

    def body(event: Any) -> Body:
        try:
            yield Step("fragile", fails)
        except Failed as failed:
            return f"caught: {failed}"
        return None

    sdk = Sdk(body)
    run = await ran(engine, sdk, hurried=True, retries=2)
    assert run["output"] == "caught: not yet"
    assert len(attempts) == 3
    assert [call.attempt for call in sdk.calls if call.target != "step"] == [1, 2]
    assert (await engine.steps())["fragile"]["error"] == {"name": "Broken", "message": "not yet"}


async def test_a_step_that_fails_for_good_is_not_tried_again(engine: Engine) -> None:
    attempts: list[int] = []

    def fails() -> None:
        attempts.append(1)
        raise Broken("never", final=True)

    def body(event: Any) -> Body:
        yield Step("hopeless", fails)

    run = await ran(engine, Sdk(body))
    assert (run["status"], run["error"]["name"]) == ("failed", "Failed")
    assert len(attempts) == 1


async def test_attempts_of_the_function_count_from_the_first_again_when_it_came_further(live_engine: Engine) -> None:
    throws = [True, True, False, True, True, False]

    def body(event: Any) -> Body:
        if not event["data"]["new"] and len(throws) > 3 and throws.pop(0):
            raise Broken("before")
        yield Step("a", lambda: 1)
        if throws.pop(0):
            raise Broken("after")
        return "done"

    sdk = Sdk(body)
    async with live_engine.working(remote("app-fn", sdk, retries=2)):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended(hurried=True)
    assert (run["status"], run["output"]) == ("completed", "done")
    assert [call.attempt for call in sdk.calls] == [0, 1, 2, 0, 1, 2]


async def test_a_function_out_of_attempts_fails_with_what_it_threw(engine: Engine) -> None:
    def body(event: Any) -> Body:
        yield from _broken()

    run = await ran(engine, Sdk(body), hurried=True, retries=1)
    told = {"name": "Broken", "message": "broken", "error": "invalid status code: 500"}
    assert (run["status"], run["error"]) == ("failed", told)


async def test_an_app_that_is_away_uses_up_no_attempt(engine: Engine) -> None:
    def body(event: Any) -> Body:
        return (yield Step("a", lambda: "here"))

    run = await ran(engine, Sdk(body, away=7), hurried=True, retries=0)
    assert run["output"] == "here"


async def test_an_app_sleeps_and_waits_and_invokes_in_the_database(engine: Engine) -> None:
    @function("child", on="app/never")
    async def child(ctx: Context) -> str:
        return f"child of {ctx.event.data['name']}"

    def body(event: Any) -> Body:
        yield Step("nap", op="Sleep", name="1h")
        found = yield Step("wait", op="WaitForEvent", name="db/users.updated", opts={"timeout": "1h"})
        invoked = yield Step(
            "ask", op="InvokeFunction", opts={"function_id": "child", "payload": {"data": {"name": "Ada"}}}
        )
        return [found["data"]["new"]["seen"], invoked]

    async with engine.working(remote("app-fn", Sdk(body)), child):
        await engine.send("db/users.inserted", {})
        await engine.run_is("sleeping")
        await engine.hurry()
        await engine.run_is("waiting")
        await engine.send("db/users.updated", {"seen": True})
        await engine.ended(2)
    outputs = {run["function"]: run["output"] for run in await engine.runs()}
    assert outputs == {"app-fn": [True, "child of Ada"], "child": "child of Ada"}


async def test_an_invoked_function_that_nobody_has_is_an_error_in_the_app(engine: Engine) -> None:
    def body(event: Any) -> Body:
        try:
            yield Step("ask", op="InvokeFunction", opts={"function_id": "app-none"})
        except Failed as failed:
            return str(failed)
        return None

    assert (await ran(engine, Sdk(body)))["output"] == "could not find function with ID: app-none"


async def test_models_and_other_servers_are_asked_for_an_app(engine: Engine) -> None:
    def body(event: Any) -> Body:
        opts = {"type": "step.ai.infer", "url": "http://127.0.0.1:1/v1", "auth_key": "secret", "body": {"model": "m"}}
        said = yield Step("ask", op="AIGateway", opts=opts)
        got = yield Step("get", op="Gateway", opts={"url": "http://127.0.0.1:1/", "method": "GET"})
        return [said, got["status_code"]]

    run = await ran(engine, Sdk(body))
    assert run["output"] == [{"said": {"model": "m"}}, 200]
    cursor = await engine.conn.execute("select coalesce(string_agg(input::text, ''), '') from cdc_state.steps")
    row = await cursor.fetchone()
    assert row is not None
    assert "secret" not in row[0], "credentials are not kept"


async def test_all_that_waits_together_wakes_the_app_once_each_has_come(engine: Engine) -> None:
    def body(event: Any) -> Body:
        return (
            yield [
                Step("nap", op="Sleep", name="1h"),
                Step("wait", op="WaitForEvent", name="app/none", opts={"timeout": "2h"}),
                Step("work", lambda: "worked"),
            ]
        )

    run = await ran(engine, Sdk(body), hurried=True)
    assert run["output"] == [None, None, "worked"]


async def test_an_app_that_only_answers_with_nothing_is_not_called_for_ever(live_engine: Engine) -> None:
    class Silent(Sdk):
        async def call(self, app: Any, call: Any) -> Any:
            from cdc.remote.answer import Planned

            self.calls.append(call)
            return Planned([], 2)

    sdk = Silent(lambda event: iter(()))  # type: ignore[arg-type,return-value]
    run = await ran(live_engine, sdk)
    assert run["status"] == "failed"
    assert 1 < len(sdk.calls) < 100


@pytest.mark.parametrize("op", ["StepNotFound", "Unheard"])
async def test_an_opcode_that_is_not_known_fails_the_run_with_its_name(live_engine: Engine, op: str) -> None:
    def body(event: Any) -> Body:
        yield Step("odd", op=op)

    run = await ran(live_engine, Sdk(body))
    assert run["status"] == "failed"
    assert op in run["error"]["message"]
