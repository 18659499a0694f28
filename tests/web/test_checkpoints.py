"""What SDKs fetch of a run's state, and the steps that they tell of while it goes on."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from inngest._internal.server_lib.event import Event
from inngest._internal.step_lib.base import StepMemos

from cdc.store import runs
from tests.web.conftest import Served

PATH = "/v1/checkpoint/{}/async"


@dataclass
class Held:
    """A run that a worker holds."""

    served: Served
    id: str
    claim: str

    async def tell(self, *steps: dict[str, Any], claim: str | None = None, run: str | None = None) -> httpx.Response:
        """A checkpoint, as JavaScript's SDK sends it."""
        body = {"run_id": self.id, "fn_id": "x", "qi_id": claim or self.claim, "request_id": "r", "generation_id": 1}
        return await self.served.ask("POST", PATH.format(run or self.id), {**body, "ts": 1, "steps": steps})

    async def steps(self) -> list[tuple[Any, ...]]:
        """Its steps in the order in which they ended."""
        return list(
            await self.served.state.rows(
                "select id, kind, attempts, data, error from cdc_state.steps where run_id = %s and ended_at is not null"
                " order by ended_at",
                self.id,
            )
        )


async def held(served: Served, worker_id: int, event_id: str = "e1") -> Held:
    await served.post("/e/any", {"name": "app/order.paid", "data": {"n": None}, "id": event_id, "v": "2"})
    (claimed,) = await runs.claim(served.state.connection, worker_id, ["paid"], 1)
    return Held(served, claimed.id, f"{worker_id}.{claimed.claims}")


@pytest.fixture
async def run(served: Served) -> Held:
    return await held(served, await served.state.worker("paid"))


def ran(id: str, data: Any, index: int = 0, **more: Any) -> dict[str, Any]:
    key = f"{id}:{index}" if index else id
    hashed = hashlib.sha1(key.encode()).hexdigest()
    told = {"op": "StepRun", "id": hashed, "displayName": id, "userland": {"id": id, "index": index}}
    return {**told, "data": data, "mode": "sync", "timing": {"a": 1, "b": 2_000_000_000}, **more}


def hashed(key: str) -> str:
    return hashlib.sha1(key.encode()).hexdigest()


async def test_a_run_has_its_events_and_what_ended_in_the_shapes_of_sdks(run: Held) -> None:
    await run.tell(ran("a", {"x": [1]}), ran("a", None, 1), ran("b", 0, op="StepFailed", error={"name": "E"}))
    await run.served.state.rows(
        "insert into cdc_state.steps (run_id, id, kind, wake_at, started_at, ended_at) values"
        " (%s, 'nap', 'sleep', now(), now(), null), (%s, 'later', 'sleep', 'infinity', now(), null) returning 1",
        run.id,
        run.id,
    )
    status, events = await run.served.get(f"/v0/runs/{run.id}/batch")
    assert status == 200
    assert [Event.model_validate(each).id for each in events] == ["e1"]
    assert events[0].keys() == {"id", "name", "data", "ts", "user", "v"}
    status, actions = await run.served.get(f"/v0/runs/{run.id}/actions")
    assert status == 200
    failed = {"error": {"name": "E", "message": "Unknown error"}}
    ended = {"a": {"data": {"x": [1]}}, "a:1": {"data": None}, "b": failed, "nap": None}
    assert actions == {hashed(key): memo for key, memo in ended.items()}
    assert StepMemos.from_raw(actions).size == 4


async def test_a_run_that_is_not_there_or_has_ended_is_gone(run: Held) -> None:
    await run.served.state.rows("update cdc_state.runs set ended_at = now(), status = 'completed' returning 1")
    for id_ in (run.id, str(uuid4()), "01JAAAAAAAAAAAAAAAAAAAAAAA"):
        for what in ("batch", "actions"):
            answer = await run.served.ask("GET", f"/v0/runs/{id_}/{what}")
            assert answer.status_code == answer.json()["status"] == 410
            assert answer.json().keys() == {"error", "status"}
    assert (await run.tell(ran("a", 1))).status_code == 409


async def test_steps_are_recorded_in_the_order_in_which_they_are_told(run: Held) -> None:
    answer = await run.tell(ran("z", 1), ran("a", "b\0c"), ran("a", 2, 1))
    assert (answer.status_code, answer.content) == (200, b"")
    await run.tell({"op": "StepRun", "id": "f" * 40, "displayName": "what was hashed is not told", "data": 3})
    assert [(key, data) for key, _, _, data, _ in await run.steps()] == [
        ("z", 1),
        ("a", "b\0c"),
        ("a:1", 2),
        ("#" + "f" * 40, 3),
    ]
    took = "select extract(epoch from ended_at - started_at)::float8 from cdc_state.steps where id = 'z'"
    assert await run.served.state.one(took) == pytest.approx(2, abs=0.1)


async def test_a_step_is_recorded_once_and_a_report_that_comes_again_is_no_other(run: Held) -> None:
    assert (await run.tell(ran("a", {"n": 1}))).status_code == 200
    assert (await run.tell(ran("a", {"n": 1}), ran("b", 2))).status_code == 200
    stale = await run.tell(ran("c", 3), ran("a", {"n": 2}))
    assert stale.status_code == 409
    assert [(key, data) for key, _, _, data, _ in await run.steps()] == [("a", {"n": 1}), ("b", 2)]


async def test_an_attempt_that_failed_before_is_followed_by_the_one_that_succeeded(run: Held) -> None:
    await run.served.state.rows(
        "insert into cdc_state.steps (run_id, id, kind, attempts, error, wake_at, started_at)"
        " values (%s, 'a', 'run', 2, '{}', now(), now()) returning 1",
        run.id,
    )
    nothing = {"op": "None", "id": hashed("later"), "opts": {}}
    assert (await run.tell(ran("a", 1), nothing, ran("ai", 2, opts={"type": "step.ai.wrap"}))).status_code == 200
    assert await run.steps() == [("a", "run", 3, 1, None), ("ai", "wrap", 1, 2, None)]


def defers(id: str) -> dict[str, Any]:
    opts = {"fn_slug": "app-later", "input": {"n": 1}}
    return {"op": "DeferAdd", "id": hashed(id), "userland": {"id": id}, "opts": opts}


async def test_a_run_is_deferred_once_and_taken_back_and_no_step_of_the_runs_state(run: Held) -> None:
    abort = {"op": "DeferAbort", "id": hashed("x"), "opts": {"target_hashed_id": hashed("b"), "fn_slug": "app-later"}}
    other = {**defers("a"), "opts": {"fn_slug": "app-other", "input": {}}}
    for told in ([ran("a", 1), defers("a"), defers("b")], [other, abort], [other, abort]):
        assert (await run.tell(*told)).status_code == 200
    kept = {"function": "app-later", "input": {"n": 1}}
    assert [step[:4] for step in await run.steps()] == [
        ("a", "run", 1, 1),
        ("defer(a)", "defer", 1, kept),
        ("defer(b)", "defer", 1, kept),
        ("abort(b)", "abort", 1, None),
    ]
    assert await run.served.get(f"/v0/runs/{run.id}/actions") == (200, {hashed("a"): {"data": 1}})


async def test_a_run_defers_no_more_than_so_many_but_what_comes_beside_is_recorded(run: Held) -> None:
    assert (await run.tell(*(defers(f"d{number}") for number in range(15)))).status_code == 200
    assert (await run.tell(ran("a", 1), *(defers(f"e{number}") for number in range(15)))).status_code == 200
    found = [kind for _, kind, *_ in await run.steps()]
    assert (found.count("defer"), found.count("run")) == (20, 1)


async def test_a_model_that_the_app_asked_itself_is_counted_once_with_what_it_cost(run: Held) -> None:
    answer = {"steps": [{"usage": {"inputTokens": 1000, "outputTokens": 100}, "response": {"modelId": "gpt-4o"}}]}
    wrapped = ran("ask", answer, opts={"type": "step.ai.wrap"})
    for _ in range(2):
        assert (await run.tell(wrapped, ran("other", answer))).status_code == 200
    told = "select step_id, function_id, provider, model, input_tokens, cost::float8, latency from cdc_state.ai_calls"
    assert await run.served.state.rows(told) == [("ask", "x", "openai", "gpt-4o", 1000, 0.0035, 2.0)]


async def test_who_does_not_hold_the_run_records_nothing(run: Held) -> None:
    worker_id, claims = run.claim.split(".")
    for claim in (f"{worker_id}.{int(claims) + 1}", f"{int(worker_id) + 1}.{claims}"):
        assert (await run.tell(ran("a", 1), claim=claim)).status_code == 409
    assert (await run.tell(ran("a", 1), run=str(uuid4()))).status_code == 409
    await run.served.state.rows("delete from cdc_state.workers returning 1")
    assert (await run.tell(ran("a", 1))).status_code == 409
    assert await run.steps() == []


async def test_what_is_no_checkpoint_is_refused_and_records_nothing(run: Held) -> None:
    planned = {**ran("b", 1), "op": "StepPlanned"}
    for steps in ([ran("a", 1), planned], [{"op": "StepRun", "id": 7}], ["x"]):
        assert (await run.tell(*steps)).status_code == 400
    assert (await run.tell(ran("a", 1), claim="dev")).status_code == 400
    assert (await run.served.ask("POST", PATH.format(run.id), b"[")).status_code == 400
    assert (await run.served.ask("POST", PATH.format(run.id), b"[]")).status_code == 400
    assert (await run.tell(ran("a", "x" * (4 * 1024 * 1024)))).status_code == 413
    assert await run.steps() == []


async def test_reports_that_come_together_are_each_recorded_whole(served: Served) -> None:
    worker_id = await served.state.worker("paid")
    held_ = [await held(served, worker_id, f"e{number}") for number in range(4)]
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
        kept = {"content-type": "application/json"}

        async def tell(run: Held, number: int) -> int:
            body = {"qi_id": run.claim, "steps": [ran(f"s{number}", number), ran(f"t{number}", number)]}
            sent = orjson.dumps(body)
            return (await client.post(PATH.format(run.id), content=sent, headers=kept)).status_code

        answers = await asyncio.gather(*(tell(run, number) for number in range(5) for run in held_))
    assert set(answers) == {200}
    for run in held_:
        keys = [key for key, *_ in await run.steps()]
        assert sorted(keys) == sorted(f"{kind}{number}" for kind in "st" for number in range(5))
        assert [key[1:] for key in keys[::2]] == [key[1:] for key in keys[1::2]], "a report's steps stand together"
