"""Pages of runs: each state and step is told, hostile data stays text, buttons do what they say."""

from __future__ import annotations

from typing import Any

import orjson

from cdc.events import deferring
from tests.web.conftest import Served
from tests.web.reading import EVIL, leads_to, page, spoken, submit

STEP = """
    insert into cdc_state.steps (run_id, id, kind, attempts, input, data, error, wake_at, started_at, ended_at)
    values (%s, %s, %s, %s, %s, %s, %s, now() + interval '1 hour', now() - interval '5 s', {ended})
"""


async def step(served: Served, run_id: str, id_: str, kind: str = "run", *, ended: bool = True, **more: Any) -> None:
    given = [None if more.get(key) is None else orjson.dumps(more[key]).decode() for key in ("input", "data", "error")]
    statement = STEP.format(ended="now() - interval '1 s'" if ended else "null")
    await served.state.connection.execute(statement.encode(), (run_id, id_, kind, more.get("attempts", 1), *given))


async def became(served: Served, run_id: str, status: str, **values: Any) -> None:
    await served.state.connection.execute(
        "update cdc_state.runs set status = %s, created_at = now() - interval '9 s',"
        " started_at = now() - interval '8 s', output = %s, error = %s,"
        " ended_at = case when %s in ('completed', 'failed', 'cancelled') then now() end where id = %s",
        (status, *(orjson.dumps(values.get(key)).decode() for key in ("output", "error")), status, run_id),
    )


async def test_a_run_is_told_with_its_steps_errors_and_lines(served: Served) -> None:
    (run_id,) = await served.state.queue(1, "paid")
    error = {"name": "Oops", "message": EVIL, "stack": "Traceback: here"}
    await became(served, run_id, "failed", error=error)
    await step(served, run_id, EVIL, input={"args": [1]}, error=error, attempts=2)
    await step(served, run_id, "nap", "sleep", ended=False)
    await step(served, run_id, "answer", "wait", ended=False, input={"event": "app/answer", "expression": "a == b"})
    await served.state.connection.execute(
        "insert into cdc_state.attempts (run_id, step_id, attempt, error, started_at, ended_at)"
        " values (%s, %s, 1, %s, now() - interval '5 s', now() - interval '4 s')",
        (run_id, EVIL, orjson.dumps({"name": "Early", "message": "first"}).decode()),
    )
    await served.state.connection.execute(
        "insert into cdc_state.logs (run_id, level, line, fields) values (%s, 'warning', %s, %s)",
        (run_id, EVIL, '{"order": "\\u0000\\ud800"}'),
    )
    sent = await page(served, f"/runs/{run_id}")
    text = spoken(sent)
    assert "Traceback: here" in text
    assert "Early: first" in text
    assert "app/answer" in text
    assert "a == b" in text
    assert "3 steps" in text
    assert "order=\\0\\ud800" in text
    assert sent.count('class="span failed"') >= 2


async def test_a_run_that_defers_and_the_one_that_it_deferred_lead_to_each_other(served: Served) -> None:
    (run_id,) = await served.state.queue(1, "paid")
    for key, kind in (("defer(later)", "defer"), ("defer(never)", "defer"), ("abort(never)", "abort")):
        await step(served, run_id, key, kind, data={"function": "app-later", "input": {"n": 1}})
    await became(served, run_id, "completed")
    ((event,),) = await served.state.rows(
        "insert into cdc_state.events (id, name, ts, data) values (%s, 'inngest/deferred.schedule', now(), %s)"
        " returning id::text",
        deferring.event_of(run_id, "defer(later)"),
        orjson.dumps({"n": 1, "_inngest": {"parent_run_id": run_id}}).decode(),
    )
    (child,) = await served.state.queue(1, "paid")
    await served.state.rows(
        "update cdc_state.runs set event_ids = array[%s::uuid] where id = %s returning 1", event, child
    )
    sent = await page(served, f"/runs/{run_id}")
    assert sent.count(f'href="/events/{event}"') == 1
    assert "the event that started it" in spoken(sent)
    assert "deferred run taken back" in spoken(sent)
    assert f'Deferred by</dt><dd><a class="mono" href="/runs/{run_id}"' in await page(served, f"/runs/{child}")


async def test_a_run_with_large_values_and_many_steps_makes_no_large_page(served: Served) -> None:
    (run_id,) = await served.state.queue(1, "paid")
    await became(served, run_id, "completed", output="x" * 3_000_000)
    await served.state.connection.execute(
        "insert into cdc_state.steps (run_id, id, kind, attempts, data, started_at, ended_at)"
        " select %s, 'many:' || n, 'run', 1, to_json(repeat('y', 20000)), now(), now() from generate_series(1, 400) n",
        (run_id,),
    )
    sent = await page(served, f"/runs/{run_id}")
    assert len(sent) < 2_000_000
    assert "100 steps more" in spoken(sent)


async def test_the_list_is_narrowed_and_can_be_had_as_a_table(served: Served) -> None:
    queued, failed = await served.state.queue(2, "paid")
    (other,) = await served.state.queue(1, "other")
    await became(served, failed, "failed", error={"name": "Oops", "message": EVIL})
    everything = await page(served, "/runs")
    assert all(f"/runs/{each}" in everything for each in (queued, failed, other))
    assert "Oops: <script>" in spoken(everything)
    found = await page(served, "/runs?status=failed&status=waiting&function=paid&span=24h")
    assert f"/runs/{failed}" in found
    assert f"/runs/{queued}" not in found
    table = found.partition('href="/v1/runs?')[2].partition('"')[0].replace("&amp;", "&")
    response = await served.ask("GET", f"/v1/runs?{table}")
    assert response.headers["content-type"].startswith("text/csv")
    assert failed in response.text
    assert other not in response.text


async def test_more_runs_than_a_page_has_are_on_the_next(served: Served) -> None:
    first, *_ = await served.state.queue(51, "paid")
    newest = await page(served, "/runs")
    assert f"/runs/{first}" not in newest
    older = newest.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert f"/runs/{first}" in await page(served, older)


async def test_a_run_is_cancelled_and_replayed_with_buttons(served: Served) -> None:
    (paid,) = (await served.post("/e/any", {"name": "app/order.paid"}))[1]["ids"]
    run_id = await served.state.one("select id::text from cdc_state.runs")
    there = f"/runs/{run_id}"
    assert "is cancelled" in spoken(await page(served, leads_to(await submit(served, there, f"{there}/cancel"))))
    assert await served.state.one("select status from cdc_state.runs") == "cancelled"
    assert "ended already" in spoken(await page(served, leads_to(await submit(served, there, f"{there}/cancel"))))
    new = leads_to(await submit(served, there, f"{there}/replay"))
    text = spoken(await page(served, new))
    assert f"Replays {run_id[-12:]}" in text
    assert paid in await page(served, new)
    assert "not kept" not in text


async def test_a_run_is_replayed_from_a_step_with_another_input(served: Served) -> None:
    await served.post("/e/any", {"name": "app/order.paid"})
    run_id = await served.state.one("select id::text from cdc_state.runs")
    await became(served, run_id, "failed", error={"name": "Oops", "message": "no"})
    await step(served, run_id, "charge", input={"args": [7], "kwargs": {}})
    form = f"/runs/{run_id}/again"
    assert "Replay from this step" in await page(served, f"/runs/{run_id}")
    assert '"args"' in spoken(await page(served, f"{form}?step=charge"))
    refused = await submit(served, f"{form}?step=charge", form, step="charge", input="{")
    assert (refused.status_code, "This is not JSON" in refused.text) == (400, True)
    new = leads_to(
        await submit(served, f"{form}?step=charge", form, step="charge", input='{"args": [8], "kwargs": {}}')
    )
    new_id = new.removeprefix("/runs/").partition("?")[0]
    edited = "select input from cdc_state.steps where run_id = %s"
    assert await served.state.one(edited, new_id) == {"args": [8], "kwargs": {}}
    assert await page(served, f"{form}?step=nothing", 404)


async def test_the_runs_of_a_filter_are_cancelled_after_a_page_that_says_which(served: Served) -> None:
    await served.state.queue(3, "paid")
    (other,) = await served.state.queue(1, "other")
    asking = "/runs/many?act=cancel&function=paid&span=24h"
    text = spoken(await page(served, asking))
    assert "queued or running or sleeping or waiting, of paid" in text
    done = leads_to(await submit(served, asking, "/runs/many", act="cancel", function="paid"))
    assert "3 of 3 runs are cancelled" in spoken(await page(served, done))
    assert (await served.state.statuses())[other][0] == "queued"
    assert "No run can be cancelled here" in await page(served, "/runs/many?act=cancel&status=failed")


async def test_a_run_that_is_not_there_has_a_page_that_says_so(served: Served) -> None:
    assert "There is no such run" in spoken(await page(served, "/runs/00000000-0000-7000-8000-000000000000", 404))
