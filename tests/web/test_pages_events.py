"""Pages of events: a row's change is told, hostile data stays text, events are sent by hand."""

from __future__ import annotations

from typing import Any

import orjson

from tests.web.conftest import Served
from tests.web.reading import EVIL, leads_to, page, spoken, submit


async def stored(served: Served, name: str, data: dict[str, Any]) -> str:
    found = await served.state.one(
        "insert into cdc_state.events (id, name, ts, data) values (gen_random_uuid(), %s, now(), %s)"
        " returning id::text",
        name,
        orjson.dumps(data).decode(),
    )
    return str(found)


async def test_an_update_is_told_column_by_column(served: Served) -> None:
    change = {
        "new": {"id": 7, "name": EVIL, "age": 3},
        "old": {"id": 7, "name": "Ada", "age": 3},
        "unchanged": ["body"],
        "table": "users",
        "lsn": "0/16B3748",
    }
    event_id = await stored(served, "db/users.updated", change)
    text = spoken(await page(served, f"/events/{event_id}"))
    assert "1 of 4 columns is known to have changed" in text
    assert "name Ada <script>" in text
    assert "body not sent: unchanged" in text
    assert "0/16B3748" in text


async def test_the_list_is_narrowed_by_name_and_text_and_tells_of_the_runs(served: Served) -> None:
    (paid,) = (await served.post("/e/any", {"name": "app/order.paid", "data": {"note": EVIL}}))[1]["ids"]
    other = await stored(served, "app/other", {"note": "x"})
    everything = await page(served, "/events")
    assert paid in everything
    assert other in everything
    assert "queued" in spoken(everything)
    for query in ("name=app/order.*", "text=script", "span=1h&name=app/order.paid"):
        found = await page(served, f"/events?{query}")
        assert paid in found
        assert other not in found
    assert "No event is like this" in await page(served, "/events?name=app/nothing")
    assert "not a moment" in spoken(await page(served, "/events?span=custom&since=soon"))


async def test_a_large_event_makes_no_large_page(served: Served) -> None:
    event_id = await stored(served, "app/large", {"text": "x" * 3_000_000})
    assert len(await page(served, "/events")) < 100_000
    assert len(await page(served, f"/events/{event_id}")) < 200_000


async def test_what_is_sent_by_hand_starts_functions_and_can_be_sent_again(served: Served) -> None:
    sent = leads_to(await submit(served, "/events/send", "/events/send", name="app/order.paid", data='{"id": 7}'))
    event_id = sent.removeprefix("/events/").removesuffix("?done=sent")
    assert '"id": 7' in spoken(await page(served, sent))
    again = leads_to(await submit(served, f"/events/{event_id}", f"/events/{event_id}/resend"))
    assert event_id not in again
    assert "paid" in spoken(await page(served, again))
    assert await served.state.one("select count(*) from cdc_state.runs") == 2
    assert served.woken
    assert "&#34;id&#34;: 7" in await page(served, f"/events/send?like={event_id}")


async def test_what_cannot_be_sent_is_said_beside_its_field_and_stays_as_typed(served: Served) -> None:
    for name, data, field, said in (
        ("app/a", '{"id": }', "data", "line 1, column 8"),
        ("app/a", "[1]", "data", "an object"),
        ("db/users.inserted", "{}", "name", "reserved"),
    ):
        response = await submit(served, "/events/send", "/events/send", name=name, data=data)
        assert response.status_code == 400
        problem = response.text.partition(f'id="{field}-wrong"')[2].partition("</p>")[0]
        assert said in spoken(problem)
        assert data in spoken(response.text)
        assert f'value="{name}"' in response.text
    assert (await served.state.counts())[0] == 0


async def test_an_event_that_is_not_there_has_a_page_that_says_so(served: Served) -> None:
    text = await page(served, "/events/00000000-0000-7000-8000-000000000000", 404)
    assert "There is no such event" in spoken(text)
