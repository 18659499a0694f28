"""`POST /e/{key}`: events from applications."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.store.state import definition
from tests.web.conftest import Serve, Served

PAID = {"name": "app/order.paid", "data": {"id": 7}}
SEED = "1727146545006,AAECAwQFBgcICQ=="
TRACE, OTHER = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-01"


async def test_events_are_stored_and_start_their_functions(served: Served) -> None:
    code, answer = await served.post("/e/any", [PAID, {"name": "app/other"}, PAID])

    assert (code, answer["status"], len(set(answer["ids"]))) == (200, 200, 3)
    assert await served.state.counts() == (3, 2, 0)
    stored = await served.state.rows("select id::text, name, data from cdc_state.events order by id")
    assert [row[0] for row in stored] == answer["ids"]
    assert [row[1:] for row in stored] == [
        ("app/order.paid", {"id": 7}),
        ("app/other", {}),
        ("app/order.paid", {"id": 7}),
    ]
    assert served.woken


async def test_one_event_needs_no_array_and_none_is_nothing(served: Served) -> None:
    assert len((await served.post("/e/any", PAID))[1]["ids"]) == 1
    assert await served.post("/e/any", []) == (200, {"ids": [], "status": 200})


async def test_the_same_request_with_its_seed_is_taken_once(served: Served) -> None:
    first = await served.post("/e/any", [PAID, PAID], x_inngest_event_id_seed=SEED)
    again = await served.post("/e/any", [PAID, PAID], x_inngest_event_id_seed=SEED)
    other = await served.post("/e/any", [PAID, PAID], x_inngest_event_id_seed=f"1{SEED}")

    assert first == again
    assert not set(first[1]["ids"]) & set(other[1]["ids"])
    assert await served.state.counts() == (4, 4, 0)


async def test_the_same_request_many_times_at_once_is_taken_once(served: Served) -> None:
    asked = (served.post("/e/any", [PAID, PAID], x_inngest_event_id_seed=SEED) for _ in range(12))
    answers = await asyncio.gather(*asked)

    assert all(answer == answers[0] for answer in answers)
    assert answers[0][0] == 200
    assert await served.state.counts() == (2, 2, 0)


async def test_what_senders_give_is_kept(served: Served) -> None:
    event = {**PAID, "id": "order-7", "ts": 1_750_000_000_123, "user": {"id": 1}, "v": "2"}
    assert (await served.post("/e/any", [event, event]))[0] == 200

    assert (
        await served.state.rows(
            "select given_id, (extract(epoch from ts) * 1000)::bigint, user_data, v from cdc_state.events"
        )
        == [("order-7", 1_750_000_000_123, {"id": 1}, "2")] * 2
    )
    assert (await served.state.counts())[1] == 1, "an id of the sender's counts once"


@pytest.mark.parametrize("count", [1, 60], ids=["inserted", "copied"])
async def test_events_belong_to_the_trace_of_their_request_unless_they_name_another(served: Served, count: int) -> None:
    sent = [PAID, {**PAID, "traceparent": OTHER, "v": "2"}, {**PAID, "traceparent": "00-nonsense"}] * count
    _, answer = await served.post("/e/any", sent, traceparent=TRACE)
    assert (await served.post("/e/any", [{"name": "app/untraced"}] * count, traceparent="nonsense"))[0] == 200

    stored = await served.state.rows("select traceparent, count(*)::int from cdc_state.events group by 1")
    assert sorted(stored, key=str) == [(TRACE, 2 * count), (OTHER, count), (None, count)]
    _, found = await served.get(f"/v1/events/{answer['ids'][1]}")
    assert found["data"]["traceparent"] == OTHER


async def test_a_time_in_the_future_is_when_its_runs_start(served: Served) -> None:
    soon = int(time.time() * 1000) + 3_600_000
    assert (await served.post("/e/any", {**PAID, "ts": soon}))[0] == 200

    due = await served.state.one("select (extract(epoch from due_at) * 1000)::bigint from cdc_state.runs")
    assert due == soon


async def test_odd_values_come_through_and_what_is_ours_is_taken_out(served: Served) -> None:
    body = b'{"name": "app/x", "data": {"big": 123456789012345678901234567890, "nul": "\\u0000", "_inngest": {"a": 1}}}'
    assert (await served.post("/e/any", body))[0] == 200
    (event,) = (await served.get("/v1/events"))[1]["data"]
    assert event["data"] == {"big": 123456789012345678901234567890, "nul": "\0"}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"name": ""}, "event name is empty"),
        ({"data": {}}, "event name is empty"),
        ({"name": 7}, "event name is empty"),
        ({"name": "Inngest/x"}, "reserved"),
        ({"name": "db/users.inserted"}, "reserved"),
        ({"name": "cdc/signal.x"}, "reserved"),
        ({"name": "app/*"}, "not usable"),
        ({"name": "app/\x00"}, "not usable"),
        ({"name": "n" * 256}, "not usable"),
        ({"name": "app/x", "data": []}, "data is not an object"),
        ({"name": "app/x", "ts": "soon"}, "ts is not"),
        ({"name": "app/x", "ts": 1}, "ts is not"),
        ({"name": "app/x", "ts": 1e300}, "ts is not"),
        ({"name": "app/x", "id": 7}, "id is not"),
        ({"name": "app/x", "id": "a\x00b"}, "id has characters"),
        ({"name": "app/x", "user": []}, "user is not"),
        ({"name": "app/x", "data": json.loads('{"a":' * 65 + "0" + "}" * 65)}, "within each other"),
        ({"name": "app/x", "user": json.loads('{"a":' * 65 + "0" + "}" * 65)}, "within each other"),
        ({"name": "app/x", "data": {"large": "x" * (3 << 20)}}, "more than"),
        ("app/x", "an event is an object"),
    ],
    ids=str,
)
async def test_the_events_before_a_bad_one_are_accepted(served: Served, bad: object, says: str) -> None:
    code, answer = await served.post("/e/any", [PAID, bad, PAID])

    assert (code, answer["status"], len(answer["ids"])) == (400, 400, 1)
    assert says in answer["error"]
    assert await served.state.counts() == (1, 1, 0)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b'{"name": NaN}', b'[{"name": "a", "data": 1e999}]'])
async def test_a_body_that_is_no_json_is_refused(served: Served, body: bytes) -> None:
    code, answer = await served.post("/e/any", body)
    assert (code, answer["ids"]) == (400, [])
    assert await served.state.counts() == (0, 0, 0)


async def test_too_many_events_and_too_large_a_request_are_refused(served: Served) -> None:
    code, answer = await served.post("/e/any", [PAID] * 5001)
    assert (code, answer["ids"]) == (400, [])
    assert (await served.post("/e/any", b" " * (33 << 20)))[0] == 413
    code, answer = await served.post("/e/any", b"[%b0]" % (b"0," * 3_000_000))
    assert (code, "values" in answer["error"]) == (400, True)
    assert (await served.post("/e/any", [PAID] * 5000))[0] == 200
    assert await served.state.counts() == (5000, 5000, 0)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
@pytest.mark.parametrize("path", ["/e/any", "/v1/signals", "/v1/functions/paid/pause"])
async def test_what_a_page_elsewhere_could_send_unasked_is_refused(served: Served, kind: str, path: str) -> None:
    assert (await served.post(path, PAID, content_type=kind))[0] == 415
    assert await served.state.counts() == (0, 0, 0)
    preflight = await served.ask("OPTIONS", path, origin="https://elsewhere.example")
    assert preflight.status_code == (204 if path == "/e/any" else 405)
    assert "access-control-allow-origin" not in preflight.headers


async def test_a_foreign_host_is_refused(served: Served) -> None:
    assert (await served.ask("POST", "/e/any", PAID, host="rebound.example.com")).status_code == 400
    assert await served.state.counts() == (0, 0, 0)


async def test_with_keys_only_those_are_accepted(serve: Serve) -> None:
    served = await serve("first", "second")
    for key, status in (("first", 200), ("second", 200), ("third", 401), ("firs", 401), ("first,second", 401)):
        assert (await served.post(f"/e/{key}", PAID))[0] == status, key
    assert (await served.state.counts())[0] == 2


async def test_a_function_that_is_registered_later_is_started_too(served: Served) -> None:
    await served.post("/e/any", {"name": "app/new"})
    await served.state.register(definition("new", on="app/new"))
    await served.post("/e/any", {"name": "app/new"})
    assert await served.state.rows("select function_id from cdc_state.runs") == [("new",)]


async def test_a_value_that_the_database_refuses_is_told(served: Served) -> None:
    await served.state.connection.execute("alter table cdc_state.events add check (name <> 'app/bad')")
    code, answer = await served.post("/e/any", [PAID, {"name": "app/bad"}])
    assert (code, answer["ids"]) == (400, [])
    assert await served.state.counts() == (0, 0, 0)
    assert await status(served, PAID) == 200


@pytest.mark.parametrize("count", [1, 60], ids=["inserted", "copied"])
async def test_nothing_is_acknowledged_whose_commit_fails(served: Served, count: int) -> None:
    await served.state.connection.execute(
        "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;"
        " create constraint trigger refuse after insert on cdc_state.events deferrable initially deferred"
        " for each row execute function refuse()"
    )
    code, answer = await served.post("/e/any", [PAID] * count)
    assert (code, answer.get("ids")) == (500, None)
    assert await served.state.counts() == (0, 0, 0)


async def test_requests_at_the_same_time_share_transactions_and_no_value_harms_the_others(served: Served) -> None:
    await served.state.connection.execute("alter table cdc_state.events add check (name <> 'app/bad')")
    await served.state.connection.execute(
        "create table commits (xid xid8); create function note() returns trigger language plpgsql as"
        " $$ begin insert into commits values (pg_current_xact_id()); return null; end $$;"
        " create trigger note after insert on cdc_state.events execute function note()"
    )
    asked = [status(served, {"name": "app/bad"} if number == 20 else PAID) for number in range(40)]
    codes = await asyncio.gather(*asked)

    assert sorted(codes) == [*[200] * 39, 400]
    assert (await served.state.counts())[0] == 39
    assert await served.state.one("select count(distinct xid) from commits") < 39 + 10


async def status(served: Served, event: Any) -> int:
    return (await served.post("/e/any", event))[0]


async def test_an_event_that_nests_too_deeply_is_refused(served: Served) -> None:
    def nested(depth: int) -> bytes:
        return b'{"name": "app/deep", "data": {"a": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}}"

    assert (await served.post("/e/any", nested(64)))[0] == 200
    code, answer = await served.post("/e/any", nested(65))
    assert (code, answer["error"]) == (400, "event data has more than 64 lists and objects within each other")
    assert (await served.post("/v1/signals", b"[" * 65 + b"]" * 65))[0] == 400
