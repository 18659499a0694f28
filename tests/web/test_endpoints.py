"""Runs that apps begin by themselves, as the SDK tells of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from cdc.store import endpoints, runs
from tests.web.conftest import Served
from tests.web.test_checkpoints import hashed, ran

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
DONE = {"op": "RunComplete", "id": hashed("complete"), "data": {"status": 200, "headers": {}, "body": '"[1]"'}}
PAUSE = timedelta(seconds=endpoints.PAUSE)
NAP = {"op": "Sleep", "id": hashed("nap"), "name": "1s", "userland": {"id": "nap"}}


def ulid(at: float | None = None) -> str:
    value = int((time.time() if at is None else at) * 1000) << 80 | uuid4().int >> 48
    return "".join(_DIGITS[value >> shift & 31] for shift in range(125, -1, -5))


def event(**other: Any) -> dict[str, Any]:
    asked = {"method": "GET", "path": "/pay", "query_params": "a=1", "body": "", "fn": ""}
    return {"name": "inngest/http.request", "data": {"domain": "http://127.0.0.1:9", **asked, **other}}


@dataclass
class Begun:
    """A run that an app executes by itself."""

    served: Served
    id: str = field(default_factory=ulid)

    async def begin(self, *steps: dict[str, Any], **other: Any) -> tuple[int, Any]:
        body = {"run_id": self.id, "event": event(**other), "steps": steps, "ts": 1, "retries": 3}
        return await self.served.post("/v1/checkpoint", body)

    async def tell(self, *steps: dict[str, Any], function: str = "127.0.0.1:9-GET-pay") -> int:
        body = {"run_id": self.id, "fn_id": function, "app_id": "x", "steps": steps, "ts": 1}
        return (await self.served.post(f"/v1/checkpoint/{self.id}/steps", body))[0]

    async def stands(self) -> tuple[str, int, list[Any]]:
        """Its status, how many failures, and its steps in their order."""
        state = self.served.state
        ((status, failures, id_),) = await state.rows("select status, failures, id from cdc_state.runs")
        query = "select id from cdc_state.steps where run_id = %s order by ended_at"
        return status, failures, [row[0] for row in await state.rows(query, id_)]

    async def claimed(self) -> list[str]:
        worker = await self.served.state.worker()
        found = await runs.claim(self.served.state.connection, worker, ["127.0.0.1:9-GET-pay"], 9)
        return [run.id for run in found]


@pytest.fixture
async def run(served: Served) -> Begun:
    return Begun(served)


async def test_a_run_is_begun_once_and_carried_on_by_its_app_alone(run: Begun) -> None:
    status, first = await run.begin(ran("a", 1))
    assert (status, await run.begin(ran("a", 1))) == (201, (201, first))
    assert first["data"].keys() == {"fn_id", "app_id", "run_id", "token", "realtime_token"}
    assert await run.tell(ran("b", 2)) == await run.tell(ran("b", 3)) == 200
    assert await run.stands() == ("waiting", 0, ["a", "b"])
    assert await run.served.state.rows("select data from cdc_state.steps where id = 'b'") == [(2,)]
    assert await run.claimed() == []
    assert await run.tell(ran("c", 3), function="paid") == 409
    assert await run.tell(DONE) == await run.tell(DONE) == 200
    assert await run.tell(ran("c", 3)) == 409
    assert await run.stands() == ("completed", 0, ["a", "b"])
    assert await run.served.state.one("select count(*) from cdc_state.events") == 1


async def test_what_is_handed_over_goes_on_from_here_and_by_its_app_no_more(run: Begun) -> None:
    await run.begin(ran("a", 1))
    assert await run.tell(NAP) == await run.tell(NAP) == 200
    assert await run.stands() == ("queued", 0, ["a"])
    assert await run.tell(ran("b", 2)) == await run.tell(DONE) == 409
    assert await run.claimed() == [str(UUID(await run.served.state.one("select id::text from cdc_state.runs")))]
    assert run.served.woken


async def test_what_failed_is_tried_again_after_a_pause(run: Begun) -> None:
    failed = {**ran("a", None), "op": "StepError", "error": {"name": "Error", "message": "no"}}
    itself = {"op": "StepError", "id": hashed("complete"), "error": {"name": "Error", "message": "no"}}
    assert (await run.begin(failed))[0] == 201
    assert await run.stands() == ("queued", 0, ["a"])
    # Compared with the moment of their transaction: a pause of a second may be over by now.
    query = (
        "select s.attempts, s.ended_at is null, s.wake_at - r.started_at, r.due_at - r.started_at"
        " from cdc_state.steps s join cdc_state.runs r on r.id = s.run_id"
    )
    assert await run.served.state.rows(query) == [(1, True, PAUSE, PAUSE)]
    await run.served.state.rows("delete from cdc_state.runs returning 1")
    run.id = ulid()
    assert (await run.begin(itself))[0] == 201
    assert (await run.stands())[:2] == ("queued", 1)
    assert await run.served.state.one("select due_at - started_at from cdc_state.runs") == PAUSE


async def test_a_run_whose_app_is_silent_is_claimed_and_its_app_is_heard_no_more(run: Begun) -> None:
    await run.begin(ran("a", 1))
    await run.served.state.rows("update cdc_state.runs set due_at = now(), rank = now() returning 1")
    assert len(await run.claimed()) == 1
    assert (await run.begin(ran("a", 1)))[0] == await run.tell(ran("b", 2)) == await run.tell(DONE) == 409
    assert (await run.stands())[2] == ["a"]


async def test_the_output_is_for_who_has_the_token_of_the_run(run: Begun) -> None:
    _, begun = await run.begin(ran("a", 1), DONE)
    _, other = await Begun(run.served).begin(ran("a", 1), DONE)
    for path in (f"/v1/http/runs/{run.id}/output", f"/v1/checkpoint/{begun['data']['run_id']}/output"):
        assert await run.served.get(f"{path}?token={begun['data']['token']}") == (200, [1])
        for wrong in ("", "é", other["data"]["token"]):
            assert (await run.served.get(f"{path}?token={wrong}"))[0] == 401
    cancelled = Begun(run.served)
    _, begun = await cancelled.begin(ran("a", 1))
    id_ = begun["data"]["run_id"]
    assert (await run.served.post(f"/v1/runs/{id_}/cancel"))[0] == 200
    status, said = await run.served.get(f"/v1/http/runs/{id_}/output?token={begun['data']['token']}")
    assert (status, said["error"]["name"]) == (500, "RunCancelled")


async def test_an_origin_with_more_endpoints_than_are_told_apart_has_one_function_for_the_others(run: Begun) -> None:
    await run.begin(ran("a", 1), fn="pays at once")
    copied = (
        "select id || n, app, definition from cdc_state.functions, generate_series(2, 200) as n where app is not null"
    )
    await run.served.state.rows(f"insert into cdc_state.functions (id, app, definition) {copied} returning 1")
    found = []
    for path in ("/users/1", "/users/2"):
        _, begun = await Begun(run.served).begin(ran("a", 1), path=path)
        found.append(begun["data"]["fn_id"])
    assert found == ["127.0.0.1:9-other"] * 2
    status, again = await run.begin(ran("a", 1), fn="pays at once")
    assert (status, again["data"]["fn_id"]) == (201, "127.0.0.1:9-pays-at-once")


async def test_what_no_endpoint_tells_begins_nothing(run: Begun) -> None:
    assert (await run.begin(domain="http://example.com"))[0] == 403
    for wrong in ({"domain": "ftp://127.0.0.1"}, {"domain": "http://127.0.0.1:9/x"}, {"method": "get"}, {"path": "x"}):
        assert (await run.begin(**wrong))[0] == 400
    assert (await run.begin({"op": "DeferAdd", "id": "x", "opts": {}}))[0] == 400
    run.id = ulid(time.time() + 7 * 86400)
    assert (await run.begin(ran("a", 1)))[0] == 400
    assert await run.served.state.counts() == (0, 0, 0)
