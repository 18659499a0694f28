"""Each step of ours over the SDK's: what the cluster is asked for, and what the handler gets."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import AsyncConnection
from pydantic import BaseModel

from cdc import Cron, Event, EventTrigger, NonRetriableError, StepError, function
from cdc.ai.access import Access
from cdc.ai.infer import Models
from cdc.authoring.context import Context
from cdc.store.connect import pool
from tests.ai_server import AIServer
from tests.cluster.harness import row_event, serving
from tests.servers import Connect

ADA = row_event("users", {"id": 1, "name": "Ada"})

Patch = pytest.MonkeyPatch


async def test_events_are_sent_with_ids_that_a_repeat_has_again(monkeypatch: Patch) -> None:
    @function("sends", on="db/users.inserted")
    async def sends(ctx: Context) -> list[str]:
        return await ctx.step.send_event(
            "tell",
            [Event("app/told", {"n": 1}, user={"id": 3}, v="2"), Event("app/told", id="mine", ts=1_800_000_000_000)],
        )

    async with serving(monkeypatch, sends) as cluster:
        ended = await cluster.run("shop-sends", ADA)
        await cluster.run("shop-sends", ADA)

    first, second, again, _ = cluster.sent
    assert ended.output == [f"internal-{first['id']}", "internal-mine"]
    assert (first["id"], first["user"], first["v"]) == ("01RUN-tell-0", {"id": 3}, "2")
    assert (second["id"], second["ts"]) == ("mine", 1_800_000_000_000)
    assert again["id"] == first["id"]


async def test_an_event_that_is_waited_for_comes_whole_or_not_at_all(monkeypatch: Patch) -> None:
    @function("waits", on="db/users.inserted")
    async def waits(ctx: Context) -> Any:
        came = await ctx.step.wait_for_event("answer", "app/answered", "2.5s", match="data.id")
        late = await ctx.step.wait_for_event("late", "app/late", "1h", if_exp="async.data.n > 1")
        assert came is not None
        return [came.data, came.user, came.v, late]

    asked: list[dict[str, Any]] = []

    def answer(operation: Any) -> Any:
        asked.append({"event": operation["name"], **operation["opts"]})
        known = {"id": "x", "name": "app/answered", "ts": 1, "data": {"id": 1}, "user": {"by": "me"}, "v": "7"}
        return known if operation["name"] == "app/answered" else None

    async with serving(monkeypatch, waits) as cluster:
        cluster.answers["WaitForEvent"] = answer
        ended = await cluster.run("shop-waits", ADA)

    assert ended.output == [{"id": 1}, {"by": "me"}, "7", None]
    assert asked == [
        {
            "event": "app/answered",
            "if": "event.data.id != null && async.data.id == event.data.id",
            "timeout": "3s",
        },
        {"event": "app/late", "if": "async.data.n > 1", "timeout": "1h"},
    ]


async def test_functions_are_invoked_by_what_they_are_called_there(monkeypatch: Patch) -> None:
    @function("child", on="app/child")
    async def child(ctx: Context) -> None: ...

    @function("parent", on="db/users.inserted")
    async def parent(ctx: Context) -> list[Any]:
        found = [
            await ctx.step.invoke("ours", child, {"n": 1}),
            await ctx.step.invoke("by-id", "child", timeout="90s"),
            await ctx.step.invoke("theirs", "billing-charge-card"),
        ]
        try:
            await ctx.step.invoke("fails", "billing-fails")
        except StepError as error:
            found.append([error.step, error.name, error.message])
        return found

    asked: list[Any] = []

    def answer(operation: Any) -> Any:
        asked.append((operation["opts"]["function_id"], operation["opts"]["timeout"]))
        if operation["opts"]["function_id"] == "billing-fails":
            return {"error": {"name": "Broken", "message": "it broke", "stack": ""}}
        return {"data": {"from": operation["displayName"], **operation["opts"]["payload"]["data"]}}

    async with serving(monkeypatch, parent, child) as cluster:
        cluster.answers["InvokeFunction"] = answer
        ended = await cluster.run("shop-parent", ADA)

    assert ended.output == [
        {"from": "ours", "n": 1},
        {"from": "by-id"},
        {"from": "theirs"},
        ["fails", "Broken", "it broke"],
    ]
    assert asked == [
        ("shop-child", "365d"),
        ("shop-child", "90s"),
        ("billing-charge-card", "365d"),
        ("billing-fails", "365d"),
    ]


async def test_signals_are_events_there(monkeypatch: Patch) -> None:
    @function("signals", on="db/users.inserted")
    async def signals(ctx: Context) -> Any:
        await ctx.step.send_signal("go", "order-1", {"ok": True})
        return await ctx.step.wait_for_signal("paid", "order-2", "1d")

    async with serving(monkeypatch, signals) as cluster:
        cluster.answers["WaitForEvent"] = lambda asked: {"id": "s", "name": asked["name"], "ts": 1, "data": {"paid": 5}}
        ended = await cluster.run("shop-signals", ADA)

    assert ended.output == {"paid": 5}
    assert (cluster.sent[0]["name"], cluster.sent[0]["data"]) == ("signal/order-1", {"ok": True})


async def test_sleeps_say_until_when(monkeypatch: Patch) -> None:
    until: list[str] = []
    when = datetime(2031, 2, 3, 4, 5, tzinfo=UTC)

    @function("sleeps", on="db/users.inserted")
    async def sleeps(ctx: Context) -> None:
        await ctx.step.sleep_until("then", when)
        await ctx.step.sleep("nap", "1h")

    def slept(operation: Any) -> None:
        until.append(operation["name"])

    began = time.time()
    async with serving(monkeypatch, sleeps) as cluster:
        cluster.answers["Sleep"] = slept
        ended = await cluster.run("shop-sleeps", ADA)

    assert ended.status == "completed"
    assert until[0] == "2031-02-03T04:05:00.000Z"
    assert began + 3599 <= datetime.fromisoformat(until[1]).timestamp() <= time.time() + 3601


async def test_a_transaction_commits_with_its_step_or_not_at_all(
    monkeypatch: Patch, database_url: str, connect: Connect
) -> None:
    conn = await connect(database_url)
    await conn.execute("create table paid (amount integer)")

    @function("pays", on="db/users.inserted")
    async def pays(ctx: Context) -> list[Any]:
        async def pay(connection: AsyncConnection[tuple[Any, ...]], amount: int = 5) -> int:
            await connection.execute("insert into paid values (%s)", [amount])
            return amount

        async def breaks(connection: AsyncConnection[tuple[Any, ...]]) -> None:
            await pay(connection, 9)
            raise NonRetriableError("no money")

        found: list[Any] = [await ctx.step.transaction("pay", pay)]
        try:
            await ctx.step.transaction("breaks", breaks)
        except StepError as error:
            found.append(error.message)
        return found

    async with pool(database_url, size=2, name="test") as db, serving(monkeypatch, pays, db=db) as cluster:
        ended = await cluster.run("shop-pays", ADA)

    assert ended.output == [5, "no money"]
    assert await (await conn.execute("select amount from paid")).fetchall() == [(5,)]


async def test_a_body_may_not_take_longer_than_it_is_given_nor_take_steps(monkeypatch: Patch) -> None:
    @function("limits", on="db/users.inserted")
    async def limits(ctx: Context) -> list[str]:
        async def nested() -> None:
            await ctx.step.run("inner", lambda: 1)

        found = []
        for id_, step, body in (
            ("slow", ctx.step.within(0.01), asyncio.Event().wait),
            ("outer", ctx.step, nested),
        ):
            try:
                await step.run(id_, body)
            except StepError as error:
                found.append(f"{error.name}: {error.message}")
        return found

    async with serving(monkeypatch, limits) as cluster:
        ended = await cluster.run("shop-limits", ADA)

    slow, nested = ended.output
    assert slow == "TimeoutError: it took longer than 0.01 s"
    assert nested.startswith("NonRetriableError: step 'inner' is taken inside step 'outer'")


class Colour(BaseModel):
    name: str


async def test_models_are_asked_by_the_cluster_or_in_a_step_of_our_own(monkeypatch: Patch) -> None:
    @function("asks", on="db/users.inserted")
    async def asks(ctx: Context) -> Any:
        said = await ctx.step.ai.infer("there", model="anthropic/claude-sonnet-4-5", prompt="Hello", max_tokens=9)
        whole = await ctx.step.ai.infer("whole", model="gemini/gemini-2.5-flash", body={"contents": []})
        here = await ctx.step.ai.infer("here", model="openai/gpt-4o", prompt="blue", output=Colour)
        return [said, whole, here.name]

    asked: list[dict[str, Any]] = []

    def answer(operation: Any) -> Any:
        asked.append(operation["opts"])
        if operation["opts"]["format"] == "gemini":
            return {"data": {"candidates": []}}
        return {"data": {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}]}}

    async with AIServer() as server:
        access = {
            "anthropic": Access("sk-a"),
            "gemini": Access("sk-g"),
            "openai": Access("sk-o", server.url),
        }
        async with serving(monkeypatch, asks, models=Models(access)) as cluster:
            cluster.answers["AIGateway"] = answer
            ended = await cluster.run("shop-asks", ADA)

    assert ended.output[:2] == ["Hi", {"candidates": []}]
    assert isinstance(ended.output[2], str)
    assert asked[0]["auth_key"] == "sk-a"
    assert asked[0]["url"] == "https://api.anthropic.com/v1/messages"
    assert asked[0]["body"] == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    assert ended.calls[-2:] == [["StepRun here"], ["completed"]]


async def test_a_providers_object_that_was_wrapped_comes_back_as_it_was(monkeypatch: Patch) -> None:
    from openai import AsyncOpenAI

    async with AIServer() as server:
        client = AsyncOpenAI(api_key="sk", base_url=server.url)

        @function("wraps", on="db/users.inserted")
        async def wraps(ctx: Context) -> list[Any]:
            answer = await ctx.step.ai.wrap(
                "ask", client.chat.completions.create, model="gpt-4o", messages=[{"role": "user", "content": "hey"}]
            )
            await ctx.step.sleep("a while", "1h")
            return [type(answer).__name__, answer.choices[0].message.content]

        async with serving(monkeypatch, wraps) as cluster:
            ended = await cluster.run("shop-wraps", ADA)
        await client.close()

    assert ended.output == ["ChatCompletion", "You said: hey"]


ROWS: dict[str, tuple[dict[str, Any], bool]] = {
    "changed": (row_event("users", {"name": "b", "age": 1}, "updated", old={"name": "a", "age": 1}), True),
    "another changed": (row_event("users", {"name": "a", "age": 2}, "updated", old={"name": "a", "age": 1}), False),
    "nothing is known": (row_event("users", {"name": "a", "age": 2}, "updated"), True),
    "not sent": (row_event("users", {"age": 2}, "updated", old={"age": 1, "name": "a"}, unchanged=["name"]), False),
    "inserted": (row_event("users", {"name": "a"}, "inserted"), True),
    "backfilled": (row_event("users", {"name": "a"}, "backfilled"), False),
    "invoked": ({"id": "i", "name": "inngest/function.invoked", "ts": 1, "data": {}}, True),
}


async def test_only_rows_that_would_start_it_here_reach_the_handler(monkeypatch: Patch) -> None:
    @function("narrow", on="db/users.*", columns=["name"])
    async def narrow(ctx: Context) -> str:
        return "ran"

    async with serving(monkeypatch, narrow) as cluster:
        found = {name: (await cluster.run("shop-narrow", event)).output for name, (event, _) in ROWS.items()}

    assert found == {name: "ran" if runs else None for name, (_, runs) in ROWS.items()}


class User(BaseModel):
    id: int


async def test_an_event_that_does_not_fit_fails_the_run_at_once(monkeypatch: Patch) -> None:
    @function("typed", on=[EventTrigger("db/users.inserted", model=User), Cron("0 * * * *")])
    async def typed(ctx: Context) -> int:
        return ctx.event.typed(User).id

    async with serving(monkeypatch, typed) as cluster:
        good = await cluster.run("shop-typed", ADA)
        bad = await cluster.run("shop-typed", row_event("users", {"id": "x"}))

    assert good.output == 1
    assert (bad.status, bad.output["name"], len(bad.calls)) == ("failed", "EventUnfit", 1)


async def test_lines_are_told_once_however_often_the_handler_is_called(
    monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    @function("tells", on="db/users.inserted")
    async def tells(ctx: Context) -> None:
        ctx.logger.info("first")
        await ctx.step.run("one", lambda: ctx.logger.info("in the body"))
        ctx.logger.info("second")
        await ctx.step.sleep("a while", "1h")
        ctx.logger.info("third")

    async with serving(monkeypatch, tells) as cluster:
        await cluster.run("shop-tells", ADA)

    told = capsys.readouterr().out
    assert [told.count(line) for line in ("first", "in the body", "second", "third")] == [1, 1, 1, 1]


async def test_a_batch_comes_whole(monkeypatch: Patch) -> None:
    @function("many", on="db/users.inserted")
    async def many(ctx: Context) -> list[int]:
        return [event.data["new"]["id"] for event in ctx.events]

    async with serving(monkeypatch, many) as cluster:
        ended = await cluster.run("shop-many", *(row_event("users", {"id": number}) for number in range(3)))

    assert ended.output == [0, 1, 2]
