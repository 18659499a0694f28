"""`cdc.Client` against the real API, with a network that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from uuid_utils import uuid7

from cdc import Client, Event, EventsRefused, ServiceUnreachable, client
from tests.web.conftest import Asgi, Serve, Served

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"

Send = Callable[[Client, Any], Any]


def asynchronously(sender: Client, events: Any) -> Any:
    return sender.send(events)


def blocking(sender: Client, events: Any) -> Any:
    return asyncio.to_thread(sender.send_sync, events)


both = pytest.mark.parametrize("send", [asynchronously, blocking])


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_PAUSES", (0.0,) * 5)


@both
async def test_one_event_or_several_are_sent(served: Served, send: Send) -> None:
    sender = Client(f"{served.url}/")
    one = await send(sender, Event("app/order.paid", {"id": 1}, id="own", user={"id": 2}, v="3", traceparent=TRACE))
    two = await send(sender, [Event("app/a"), {"name": "app/b", "data": {"n": 1}}])
    assert await send(sender, []) == []

    stored = await served.state.rows(
        "select id::text, name, data, given_id, user_data, v, traceparent from cdc_state.events"
    )
    assert {(*one, "app/order.paid", 1, "own"), (two[0], "app/a", None, None), (two[1], "app/b", None, None)} == {
        (row[0], row[1], row[2].get("id"), row[3]) for row in stored
    }
    assert [row[4:] for row in stored if row[3]] == [({"id": 2}, "3", TRACE)]


@both
@pytest.mark.parametrize("failing", [1, 5])
async def test_a_retry_never_doubles(serve: Serve, send: Send, failing: int) -> None:
    served = await serve(around=lambda inner: forgetful(inner, failing))
    (event_id,) = await send(Client(served.url, timeout=60), Event("app/x"))
    assert await served.state.rows("select id::text from cdc_state.events") == [(event_id,)]


@both
async def test_a_service_that_never_manages_is_told_as_unreachable(serve: Serve, send: Send) -> None:
    served = await serve(around=lambda inner: forgetful(inner, 1000))
    with pytest.raises(ServiceUnreachable, match="answered with status 503") as failed:
        await send(Client(served.url, "a-secret-key"), Event("app/x"))
    assert "a-secret-key" not in str(failed.value)


def test_the_next_attempt_comes_when_the_service_asks_for_it() -> None:
    attempt = client._Attempt("http://127.0.0.1/e/any", Event("app/x"))
    pauses = attempt.pauses()
    assert next(pauses) == 0
    for asked, paused in (("7", 7), ("9999", 30), ("soon", 0)):
        attempt.answered(httpx.Response(503, headers={"retry-after": asked}, json={}))
        assert next(pauses) == paused


@both
async def test_a_service_that_is_not_there_is_told_as_unreachable(send: Send) -> None:
    with pytest.raises(ServiceUnreachable, match="did not take the events"):
        await send(Client("http://127.0.0.1:1"), Event("app/x"))


@both
async def test_what_is_refused_is_told_with_what_was_accepted(served: Served, send: Send) -> None:
    with pytest.raises(EventsRefused, match="event name is empty") as refused:
        await send(Client(served.url), [Event("app/a"), Event("")])
    assert [(event_id,) for event_id in refused.value.accepted] == await served.state.rows(
        "select id::text from cdc_state.events"
    )


@both
async def test_the_key_is_sent(serve: Serve, send: Send) -> None:
    served = await serve("one key+%")
    assert await send(Client(served.url, "one key+%"), []) == []
    with pytest.raises(EventsRefused, match="key is not known"):
        await send(Client(served.url), [])


def forgetful(inner: Asgi, failing: int) -> Asgi:
    """The first `failing` requests are worked off, but their answer is lost."""
    left = [failing]

    async def around(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or left[0] == 0:
            await inner(scope, receive, send)
            return
        left[0] -= 1

        async def lose(message: Any) -> None:
            pass

        await inner(scope, receive, lose)
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"later"})

    return around


async def test_an_event_that_starts_nothing_has_no_runs_to_wait_for(served: Served) -> None:
    sender = Client(served.url, timeout=60)
    (event_id,) = await sender.send(Event("app/x"))
    assert await sender.ended(event_id, within=0) == []


async def test_runs_are_waited_for_until_all_have_ended(served: Served) -> None:
    sender = Client(served.url, timeout=60)
    (event_id,) = await sender.send(Event("app/x"))
    for status in ("completed", "running"):
        await served.state.rows(
            "insert into cdc_state.runs (id, function_id, event_ids, status, output, ended_at)"
            " values (%s, 'f', array[%s::uuid], %s, '7', now()) returning 1",
            *(str(uuid7()), event_id, status),
        )
    with pytest.raises(TimeoutError, match="have not ended within 0 seconds"):
        await sender.ended(event_id, within=0)
    waiting = asyncio.create_task(sender.ended(event_id))
    await served.state.rows("update cdc_state.runs set status = 'failed' where status = 'running' returning 1")
    assert sorted((run["status"], run["output"]) for run in await waiting) == [("completed", 7), ("failed", 7)]


async def test_runs_of_no_event_or_of_no_service_are_told_apart(served: Served) -> None:
    with pytest.raises(EventsRefused, match="no such event"):
        await Client(served.url, timeout=60).ended("00000000-0000-7000-8000-000000000000")
    with pytest.raises(ServiceUnreachable, match="was not reached"):
        await Client("http://127.0.0.1:1").ended("00000000-0000-7000-8000-000000000000")
