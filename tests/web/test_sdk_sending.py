"""Events from the official SDK of Python, and from pages elsewhere."""

from __future__ import annotations

import time

import inngest
import pytest
from inngest._internal.errors import SendEventsError

from tests.store.state import definition
from tests.web.conftest import Serve, Served

PAID = "app/order.paid"


Events = inngest.Event | list[inngest.Event]


async def send(served: Served, events: Events, key: str | None = None) -> list[str]:
    """Send by a client of the SDK, which has no way to close its connections."""
    client = inngest.Inngest(app_id="shop", event_api_base_url=served.url, event_key=key, is_production=key is not None)
    try:
        return await client.send(events)
    finally:
        await client._http_client._http_client.aclose()
        client._http_client._http_client_sync.close()


async def test_the_sdk_sends_events_and_has_their_ids(served: Served) -> None:
    sent = await send(served, [inngest.Event(name=PAID, data={"n": n}) for n in range(3)])
    assert len(set(sent)) == 3
    _, listed = await served.get(f"/v1/events?name={PAID}")
    assert {event["internal_id"] for event in listed["data"]} == set(sent)
    assert {event["id"] for event in listed["data"]} == set(sent)
    (run,) = (await served.get(f"/v1/events/{sent[0]}/runs"))[1]["data"]
    assert (run["run_id"], run["event_id"], run["function_id"]) == (run["id"], sent[0], "paid")
    told = (await served.get(f"/v1/runs/{run['run_id']}"))[1]
    assert (told["data"]["event_id"], told["data"]["run_id"]) == (sent[0], run["id"])
    assert "fetched_at" in told["metadata"]
    event = (await served.get(f"/v1/events/{sent[0]}"))[1]["data"]
    assert (event["internal_id"], event["data"], event["received_at"]) == (sent[0], {"n": 0}, event["accepted_at"])


async def test_the_sdk_hears_which_events_of_a_request_were_stored(served: Served) -> None:
    with pytest.raises(SendEventsError) as caught:
        await send(served, [inngest.Event(name=PAID), inngest.Event(name=""), inngest.Event(name=PAID)])
    assert len(caught.value.ids) == 1
    assert (await served.state.counts())[:2] == (1, 1)


async def test_an_id_of_the_senders_starts_its_functions_once(served: Served) -> None:
    for _ in range(2):
        assert len(await send(served, inngest.Event(name=PAID, id="order-7"))) == 1
    assert (await served.state.counts())[:2] == (2, 1)


async def test_a_time_to_come_is_when_the_run_is_due(served: Served) -> None:
    later = int(time.time() * 1000) + 3_600_000
    await send(served, inngest.Event(name=PAID, ts=later))
    due = "select (extract(epoch from due_at) * 1000)::bigint from cdc_state.runs"
    assert await served.state.one(due) == later


async def test_a_time_of_nought_is_none(served: Served) -> None:
    assert (await served.post("/e/any", {"name": PAID, "ts": 0, "data": None, "user": None, "id": None}))[0] == 200
    assert abs(await served.state.one("select extract(epoch from now() - ts)::float8 from cdc_state.events")) < 60
    assert (await served.post("/e/any", {"name": PAID, "ts": False}))[0] == 400


async def test_the_sdk_in_production_sends_with_its_key(serve: Serve) -> None:
    served = await serve("key-of-events-0123")
    await served.state.register(definition("paid", on=PAID))
    assert await send(served, inngest.Event(name=PAID), "key-of-events-0123")
    with pytest.raises(SendEventsError):
        await send(served, inngest.Event(name=PAID), "another")
    answer = await served.ask("POST", "/e/key-of-events-0123", {"name": PAID}, content_type="text/plain")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("keys", "may"),
    [
        ((), {"http://localhost:3000": "http://localhost:3000", "http://[::1]": "http://[::1]"}),
        (("key",), {"https://elsewhere.example": "*", "null": "*"}),
    ],
)
async def test_pages_send_where_a_key_is_asked_for_else_only_those_of_this_machine(
    serve: Serve, keys: tuple[str, ...], may: dict[str, str]
) -> None:
    served = await serve(*keys)
    for origin in ("http://127.0.0.1.elsewhere.example", "https://elsewhere.example", "null", "http://[", *may):
        reads = may.get(origin, "*" if keys else None)
        asked = {"origin": origin, "access_control_request_method": "POST"}
        first = await served.ask("OPTIONS", "/e/key", **asked)
        assert (first.status_code, first.headers.get("access-control-allow-origin")) == (204, reads)
        assert ("content-type" in first.headers.get("access-control-allow-headers", "")) == (reads is not None)
        answer = await served.ask("POST", "/e/key", b"{", origin=origin)
        assert answer.headers.get("access-control-allow-origin") == reads
        assert "access-control-allow-origin" not in (await served.ask("OPTIONS", "/v1/runs", **asked)).headers
