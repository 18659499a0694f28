"""Runs that an app's function defers until it ends: its SDK is a script here, the engine and its database are real."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cdc import Context, EventTrigger, function
from cdc.remote.answer import Answer, Op, Planned, Threw
from cdc.remote.call import App, Call
from cdc.remote.memos import hashed
from tests.engine.harness import Engine
from tests.engine.scripted import Sdk, remote
from tests.engine.telling import cancel

DEFERRED = "inngest/deferred.schedule"
FROM_APP = EventTrigger(DEFERRED, "event.data._inngest.fn_slug == 'app-later'")


class Script(Sdk):
    """Answers in turn, the last for ever; of no call twice."""

    def __init__(self, *answers: Callable[[], Answer]) -> None:
        super().__init__(lambda event: iter(()))  # type: ignore[arg-type, return-value] # it has no body
        self.answers = list(answers)

    async def call(self, app: App, call: Call) -> Answer:
        self.calls.append(call)
        return self.answers.pop(0)() if len(self.answers) > 1 else self.answers[0]()


def defers(id: str, **given: Any) -> Op:
    return Op("DeferAdd", hashed(id), id, opts={"fn_slug": "app-later", "input": given})


def aborts(id: str) -> Op:
    return Op("DeferAbort", hashed(f"{hashed(id)}:abort"), "#x", opts={"target_hashed_id": hashed(id), "id": id})


def ends(*before: Op) -> Answer:
    return Planned([*before, Op("RunComplete", "c", "c", data="done")], 2)


def fails(*before: Op) -> Answer:
    return Planned([*before, Op("RunFailed", "c", "c", error={"name": "E", "message": "m"})], 2)


@pytest.mark.parametrize("end", [ends, fails, None], ids=["completed", "failed", "cancelled"])
async def test_what_a_run_defers_starts_once_when_it_ends_and_not_what_it_took_back(
    engine: Engine, end: Callable[..., Answer] | None
) -> None:
    @function("app-later", on=FROM_APP)
    async def later(ctx: Context) -> dict[str, Any]:
        return ctx.event.data

    nap = Op("Sleep", hashed("nap"), "nap", name="1h")
    sdk = Script(
        lambda: Planned([defers("kept", n=1), defers("back", n=2), Op("StepRun", hashed("a"), "a", data=1)], 2),
        lambda: Planned([aborts("back"), aborts("unknown"), defers("kept", n=3), nap], 2),
        lambda: end(defers("last", n=4)) if end else ends(),
    )
    async with engine.working(remote("app-fn", sdk), later):
        await engine.send("db/users.inserted", {})
        await engine.run_is("sleeping")
        if end is None:
            await cancel(engine)
            runs = await engine.ended(2)
        else:
            runs = await engine.ended(3, hurried=True)
    parent, *children = runs
    told = {"fn_slug": "app-later", "parent_fn_slug": "app-fn", "parent_run_id": parent["id"]}
    numbers = [1] if end is None else [1, 4]
    assert sorted((run["output"] for run in children), key=lambda output: output["n"]) == [
        {"n": n, "_inngest": told} for n in numbers
    ]
    by_name = [{hashed("kept"): True, hashed("back"): True}, {hashed("kept"): True, hashed("back"): False}]
    known = [{name: of["abortable"] for name, of in call.defers.items()} for call in sdk.calls]
    assert known == [{}, *by_name][: len(known)]
    assert all(set(call.memos) == set(call.stack) <= {hashed("a"), hashed("nap")} for call in sdk.calls)


async def test_what_a_crashed_or_failing_attempt_has_deferred_is_kept_and_known_to_the_next(engine: Engine) -> None:
    def retried() -> Answer:
        return Planned([defers("x"), Op("RunError", "c", "c", error={"name": "E", "message": "m"})], 2)

    sdk = Script(retried, lambda: Planned([defers("x"), defers("y")], 2), lambda: ends(defers("x")))
    async with engine.working(remote("app-fn", sdk)):
        await engine.send("db/users.inserted", {})
        (run,) = await engine.ended(hurried=True)
    assert run["output"] == "done"
    assert [list(call.defers) for call in sdk.calls] == [[], [hashed("x")], [hashed("x"), hashed("y")]]
    cursor = await engine.conn.execute("select count(*) from cdc_state.events where name = %s", [DEFERRED])
    assert await cursor.fetchone() == (2,)


async def test_what_is_deferred_beside_steps_that_are_taken_side_by_side_is_kept(live_engine: Engine) -> None:
    class Parallel(Script):
        async def call(self, app: App, call: Call) -> Answer:
            self.calls.append(call)
            name = next((name for name in "ab" if hashed(name) == call.target), None)
            if name is not None:
                return Planned([Op("StepRun", hashed(name), name, data=name), defers(f"of {name}")], 2)
            both = [Op("StepPlanned", hashed(name), name) for name in "ab"]
            return ends() if call.memos else Planned([defers("first"), *both], 2)

    sdk = Parallel()
    async with live_engine.working(remote("app-fn", sdk)):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended()
    assert run["output"] == "done"
    assert [len(sdk.calls), *sorted(sdk.calls[-1].defers)] == [4, *sorted(map(hashed, ("first", "of a", "of b")))]


async def test_a_deferred_run_that_cannot_be_kept_is_told_of_in_the_log_and_fails_nothing(live_engine: Engine) -> None:
    many = [defers(f"d{number}") for number in range(21)]
    odd = Op("DeferAdd", hashed("odd"), "odd", opts={"fn_slug": "app-later", "input": [1]})
    sdk = Script(lambda: ends(odd, defers("large", text="x" * 5_000_000), *many))
    async with live_engine.working(remote("app-fn", sdk)):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended()
    assert run["status"] == "completed"
    assert len(await live_engine.steps()) == 20
    cursor = await live_engine.conn.execute("select fields ->> 'id' from cdc_state.logs order by number")
    assert [row[0] for row in await cursor.fetchall()] == ["odd", "large", "d20"]


async def test_a_run_that_is_never_called_again_starts_what_it_has_deferred(live_engine: Engine) -> None:
    sdk = Script(
        lambda: Planned([defers("x"), Op("StepRun", hashed("a"), "a", data=1)], 2),
        lambda: Threw({"name": "E", "message": "m"}, None, True),
    )
    async with live_engine.working(remote("app-fn", sdk)):
        await live_engine.send("db/users.inserted", {})
        (run,) = await live_engine.ended()
    assert run["status"] == "failed"
    cursor = await live_engine.conn.execute("select data from cdc_state.events where name = %s", [DEFERRED])
    ((data,),) = await cursor.fetchall()
    assert data["_inngest"]["parent_run_id"] == run["id"]
