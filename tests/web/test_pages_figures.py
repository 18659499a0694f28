"""Overview, functions and calls of models as pages: they say what is stored, and hostile data stays text."""

from __future__ import annotations

import re
import time
from decimal import Decimal
from html import unescape

import httpx
import orjson
import pytest

from cdc import Cron, Throttle, function
from cdc.store import ai_calls, functions, gauges, tallied
from cdc.store.ai_calls import CallRecord
from cdc.store.gauges import Value
from cdc.tallies import DOLLAR, Tallies
from tests.web.conftest import Served

EVIL = '<script>alert("\u202e")</script>'
FIELD = re.compile(r'name="csrf" value="(\w+)"')


def spoken(page: str) -> str:
    """What is read of a page: its text, without markup, on one line."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", page)))


async def page(served: Served, path: str) -> httpx.Response:
    response = await served.ask("GET", path)
    assert response.headers["content-type"].startswith("text/html")
    assert "style=" not in response.text
    assert "onclick" not in response.text
    return response


async def submit(served: Served, what: str, **fields: str) -> httpx.Response:
    """Send a form of the page of `paid`, as a browser does."""
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as browser:
        found = FIELD.search((await browser.get("/functions/paid")).text)
        assert found
        fields["csrf"] = found[1]
        return await browser.post(f"/functions/{what}", data=fields, headers={"sec-fetch-site": "same-origin"})


async def told(served: Served, path: str) -> str:
    response = await page(served, path)
    assert response.status_code == 200
    return spoken(response.text)


async def filled(served: Served) -> None:
    """An hour of figures: 10 runs of `paid` started, 8 completed in a second each, 2 failed."""
    counts = Tallies()
    counts.add("event", EVIL, 120)
    for _ in range(10):
        counts.time("started", "paid", 0.02)
    for _ in range(8):
        counts.time("completed", "paid", 1.0)
        counts.time("call", "openai/gpt-x", 2.0)
    for _ in range(2):
        counts.time("failed", "paid", 1.0)
    counts.add("cost", "openai/gpt-x", int(1.5 * DOLLAR))
    counts.add("function_cost", "paid", int(1.5 * DOLLAR))
    counts.add("function_calls", "paid", 8)
    minute = int(time.time()) // 60 * 60 - 120
    await tallied.add(served.state.connection, [(minute, each) for each in counts.counts()])
    await gauges.keep(served.state.connection, [Value("lag_seconds", "default", 0.25), Value("runs", "sleeping", 7)])


async def test_the_overview_says_how_the_service_is_in_words_and_in_plots(served: Served) -> None:
    assert "No event was accepted in this window." in await told(served, "/overview")

    await filled(served)
    (run_id,) = await served.state.queue(1, "paid")
    error = (
        orjson.dumps({"name": "ValueError", "message": EVIL, "stack": ""}).decode()[:-1] + ',"nul":"\\u0000\\ud800"}'
    )
    await served.state.connection.execute(
        "update cdc_state.runs set status = 'failed', ended_at = now(), error = %s", (error,)
    )
    response = await page(served, "/overview?window=24h")
    assert EVIL not in response.text
    assert response.text.count('<svg class="chart"') >= 4
    assert f'href="/runs/{run_id}"' in response.text
    said = spoken(response.text)
    assert "2 runs failed in the last hour, 20 % of those that ended." in said
    assert "Runs started 10" in said
    assert f"ValueError {EVIL}" in said
    assert "Behind 250 ms" in said
    assert "completed 8" in said


async def test_the_first_address_leads_to_the_overview(served: Served) -> None:
    response = await served.ask("GET", "/")
    assert (response.status_code, response.headers["location"]) == (303, "/overview")


async def test_functions_are_listed_with_what_they_did(served: Served) -> None:
    @function("nightly/report", name=EVIL, on=Cron("30 3 * * 1-5", "Europe/Berlin"))
    async def nightly(ctx: object) -> None: ...

    await served.state.register(nightly.definition())
    await filled(served)
    response = await page(served, "/functions")
    assert EVIL not in response.text
    said = spoken(response.text)
    assert "2 in force" in said
    assert re.search(r"paid app/order\.paid .*?10 80 % (1 s|\d+ ms) .*? active", said)
    assert f"{EVIL} nightly/report Monday to Friday at 03:30 (Europe/Berlin) — 0 — — — active" in said
    assert 'href="/functions/nightly/report?window=1h"' in response.text


async def test_a_function_is_shown_with_its_options_plots_and_runs(served: Served) -> None:
    @function("paid", on="app/order.paid", throttle=Throttle(5, "1m", key="event.data.customer"))
    async def paid(ctx: object) -> None: ...

    await functions.register(served.state.connection, [paid.definition()])
    await filled(served)
    (event_id,) = (await served.post("/e/any", {"name": "app/order.paid", "data": {"customer": EVIL}}))[1]["ids"]
    (run,) = (await served.get(f"/v1/events/{event_id}/runs"))[1]["data"]
    said = await told(served, "/functions/paid?window=7d")
    assert "Throttle 5 starts in 1m, for each event.data.customer" in said
    assert "Success 80 %" in said
    assert f"{run['id'][-12:]} queued" in said
    assert '"customer": ' + orjson.dumps(EVIL).decode() in said
    assert (await served.ask("GET", "/functions/nobody")).status_code == 404


async def test_a_function_is_paused_resumed_and_invoked_from_its_page(served: Served) -> None:
    paused = await submit(served, "paid/pause")
    assert (paused.status_code, paused.headers["location"]) == (303, "/functions/paid?done=pause")
    assert "what it has begun goes on" in await told(served, paused.headers["location"])
    assert await served.state.one("select paused_at is not null from cdc_state.functions")
    await submit(served, "paid/resume")
    assert await served.state.one("select paused_at is null from cdc_state.functions")
    invoked = await submit(served, "paid/invoke", data='{"by": "hand", "large": 12345678901234567890123}')
    assert invoked.headers["location"] == "/functions/paid?done=invoke"
    data = await served.state.one("select data::text from cdc_state.events")
    assert "12345678901234567890123" in data
    assert len(served.woken) >= 3
    for what in ("pause", "resume", "invoke"):
        assert (await submit(served, f"nobody/{what}")).status_code == 404


@pytest.mark.parametrize(
    ("typed", "why"), [("{<b>", "This is no JSON"), ("[1]", "but no object"), ('{"a": NaN}', "NaN is no")]
)
async def test_what_cannot_be_sent_is_kept_beside_what_is_wrong_with_it(served: Served, typed: str, why: str) -> None:
    response = await submit(served, "paid/invoke", data=typed)
    assert response.status_code == 400
    assert why in response.text
    assert f"\n{typed}</textarea>" in unescape(response.text)
    assert await served.state.counts() == (0, 0, 0)


async def test_calls_of_models_are_summed_and_listed_in_pages(served: Served) -> None:
    assert "No call of a model is recorded." in await told(served, "/ai")
    await filled(served)
    calls = [CallRecord("embeddings", "openai", f"model-{n}", 0.5, inputs=2) for n in range(40)]
    await ai_calls.write(served.state.connection, calls)
    response = await page(served, "/ai")
    said = spoken(response.text)
    assert "Cost $1.50" in said
    assert re.search(r"openai/gpt-x 8 0 0 0 (2 s|\d\.\d+ s)", said)
    assert re.search(r"paid 8 0 \$1\.50", said)
    older = re.search(r'rel="next" href="([^"]+)"', response.text)
    assert older
    earlier = await page(served, "/ai" + unescape(older[1]))
    seen = [re.findall(r">(model-\d+)<", each.text) for each in (response, earlier)]
    assert [int(name[6:]) for name in (*seen[0], *seen[1])] == list(range(39, -1, -1))


async def test_a_call_is_shown_with_its_prompt_and_output_where_they_are_kept(served: Served) -> None:
    (run_id,) = await served.state.queue(1, "paid")
    call = CallRecord("chat", "openai", "gpt-x", 0.5, run_id=run_id, step_id="ask", attempt=1, function_id="paid")
    await ai_calls.write(served.state.connection, [call._replace(cost=Decimal("0.0042"))])
    await ai_calls.write(served.state.connection, [CallRecord("embeddings", "openai", "e", 0.5, inputs=3)])
    chat, vectors = (row[0] for row in await served.state.rows("select id from cdc_state.ai_calls order by id"))
    assert "What was asked is not kept" in await told(served, f"/ai/calls/{chat}")

    prompt = {"model": "openai/gpt-x", "body": {"system": "Be kind.", "messages": [{"role": "user", "content": EVIL}]}}
    await served.state.connection.execute(
        "insert into cdc_state.steps (run_id, id, kind, input, data, started_at)"
        " values (%s, 'ask', 'infer', %s, %s, now())",
        (run_id, orjson.dumps(prompt).decode(), '"\\ud800 the\\u0000 answer"'),
    )
    response = await page(served, f"/ai/calls/{chat}")
    assert EVIL not in response.text
    said = spoken(response.text)
    assert f"system Be kind. user {EVIL}" in said
    assert "\\ud800 the\\0 answer" in said
    assert "Cost $0.0042" in said
    assert f'href="/runs/{run_id}"' in response.text
    assert "3 texts were made into vectors" in await told(served, f"/ai/calls/{vectors}")
    for nothing in ("0", "nonsense", "9" * 30):
        assert (await served.ask("GET", f"/ai/calls/{nothing}")).status_code == 404
