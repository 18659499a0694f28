"""Lists of events and runs: pages that are whole together, bounded work, bounded answers, and CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from cdc.store import listing
from tests.web.conftest import Served

EVENTS = """
    insert into cdc_state.events (id, name, ts, data, accepted_at)
    select gen_random_uuid(), case when n % 10 = 0 then 'app/rare.{found' else 'app/often.seen' end, now(),
           json_build_object('n', n, 'text', case when n = 7 then 'a needle' else 'hay' end),
           now() - n / 5 * interval '1 hour'
      from generate_series(1, {count}) n
 returning 1
"""
RUNS = """
    insert into cdc_state.runs (id, function_id, event_ids, status, ended_at, worker_id, held_at)
    select ('01990000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'f' || n % 2, '{}',
           case n when 3 then 'failed' when 4 then 'cancelled' when 5 then 'waiting' when 6 then 'running'
                  when 7 then 'queued' else 'completed' end,
           case when n not in (5, 6, 7) then now() end, case n when 6 then 1 end, case n when 7 then 'paused' end
      from generate_series(1, 30) n
 returning 1
"""


async def followed(served: Served, path: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """All rows of a list, and its pages."""
    rows: list[dict[str, Any]] = []
    pages: list[dict[str, Any]] = []
    cursor = ""
    while True:
        code, page = await served.get(f"{path}{cursor}")
        assert code == 200, page
        rows += page["data"]
        pages.append(page)
        if page["next"] is None:
            return rows, pages
        cursor = f"&cursor={page['next']}"


async def test_pages_of_events_are_all_of_them_once_in_order(served: Served) -> None:
    await served.state.rows(EVENTS.replace("{count}", "33"))
    rows, pages = await followed(served, "/v1/events?limit=7")
    assert [len(page["data"]) for page in pages] == [7, 7, 7, 7, 5]
    assert len({row["id"] for row in rows}) == 33
    keys = [(row["accepted_at"], row["id"]) for row in rows]
    assert keys == sorted(keys, reverse=True)
    assert {page["searched_until"] for page in pages} == {None}


async def test_events_are_found_by_name_pattern_text_and_time(served: Served) -> None:
    await served.state.rows(EVENTS.replace("{count}", "33"))

    async def found(query: str) -> set[int]:
        return {row["data"]["n"] for row in (await followed(served, f"/v1/events?{query}"))[0]}

    assert await found("name=app/rare.{found") == await found("name=app/rare.*") == {10, 20, 30}
    assert len(await found("name=app/*&limit=9")) == 33
    assert await found("name=app%25") == await found("name=app/rare._found") == set()
    assert await found("text=needle") == await found("text=needle&name=app/often*") == {7}
    assert await found("text=needle&name=app/rare*") == set()
    assert await found("since=90m") == {1, 2, 3, 4, 5, 6, 7, 8, 9}
    assert await found("until=5h30m") == {30, 31, 32, 33}


@pytest.mark.parametrize("query", ["name=app/rare.*", "text=needle"])
async def test_a_filter_that_finds_little_looks_at_so_many_rows_and_says_how_far(
    served: Served, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(listing, "LOOKS", 6)
    monkeypatch.setattr(listing, "READS", 6)
    await served.state.rows(EVENTS.replace("{count}", "33"))
    rows, pages = await followed(served, f"/v1/events?{query}")
    assert {row["data"]["n"] for row in rows} == ({7} if "text" in query else {10, 20, 30})
    assert len(pages) == 6
    assert all(page["searched_until"] for page in pages[:-1])
    told = [page["searched_until"] for page in pages[:-1]]
    assert told == sorted(told, reverse=True)


async def test_text_is_looked_for_in_so_many_bytes(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "BYTES", 1)
    await served.state.rows(EVENTS.replace("{count}", "9"))
    rows, pages = await followed(served, "/v1/events?text=needle")
    assert ([row["data"]["n"] for row in rows], len(pages)) == ([7], 10)


async def test_runs_are_found_in_pages_whatever_they_are_in_and_however_many_are_looked_at(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served.state.rows(RUNS)

    async def found(query: str) -> list[int]:
        return [int(row["id"][-6:]) for row in (await followed(served, f"/v1/runs?{query}"))[0]]

    for looks, standing in ((50_000, 20_000), (4, 1)):
        monkeypatch.setattr(listing, "LOOKS", looks)
        monkeypatch.setattr(listing, "STANDING", standing)
        assert await found("limit=7") == list(range(30, 0, -1))
        assert await found("status=failed&status=cancelled&limit=1") == [4, 3]
        assert await found("status=failed") == [3]
        assert await found("status=waiting&status=running&status=queued&limit=2") == [7, 6, 5]
        assert await found("status=running&function=f0") == [6]
        assert await found("status=running&status=failed") == [6, 3]
        assert await found("function=f1&limit=2") == list(range(29, 0, -2))
        assert await found("function=nobody") == await found("until=1h") == []


async def test_what_is_large_is_left_out_of_lists_and_its_beginning_told(served: Served) -> None:
    noise = "string_agg(md5(n::text), '')"
    await served.state.rows(
        "insert into cdc_state.events (id, name, ts, data) select gen_random_uuid(), kind, now(),"
        f" json_build_object('text', {noise}) from (values ('b', 200), ('c', 100000)) v (kind, size),"
        " generate_series(1, size) n group by kind returning 1"
    )
    await served.state.rows(
        "insert into cdc_state.runs (id, function_id, event_ids, status, output, error)"
        " select gen_random_uuid(), 'f', '{}', 'failed', to_json(repeat('x', 5000)),"
        """ ('{"name": "Odd", "message": "a\\u0000\\" ' || repeat('y', 5000) || '", "stack": ""}')::json returning 1"""
    )
    events = {row["name"]: row for row in (await served.get("/v1/events"))[1]["data"]}
    assert {name: (row["data"], row["truncated"]) for name, row in events.items()} == {
        "b": (None, True),
        "c": (None, True),
    }
    assert (events["b"]["excerpt"][:10], len(events["b"]["excerpt"])) == ('{"text" : ', 1000)
    assert events["c"]["excerpt"] is None
    assert len((await served.get(f"/v1/events/{events['c']['id']}"))[1]["data"]["data"]["text"]) == 3_200_000

    (run,) = (await served.get("/v1/runs"))[1]["data"]
    assert (run["output"], run["excerpt"][:3], run["truncated"]) == (None, '"xx', True)
    assert run["error"]["name"] == "Odd"
    assert run["error"]["message"].startswith('a\0" yyy')


async def test_csv_has_a_line_for_each_and_computes_nothing(served: Served) -> None:
    await served.state.rows(
        "insert into cdc_state.events (id, name, ts, data, given_id, accepted_at)"
        " select gen_random_uuid(), name, now(), '{\"a\": -1}', '=cmd()', now() - n * interval '1 s'"
        " from unnest(array['=1+1', '+x', '-x', '@x', E'\\tx', E'\\rx', 'app/a,\"b\"']) with ordinality as e (name, n)"
        " returning 1"
    )
    for asked in ({"path": "/v1/events?format=csv"}, {"path": "/v1/events", "accept": "text/csv"}):
        response = await served.ask("GET", **asked)
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
        assert [row["name"] for row in rows] == ["'=1+1", "'+x", "'-x", "'@x", "'\tx", "'\rx", 'app/a,"b"']
        assert {(row["given_id"], row["data"], row["truncated"]) for row in rows} == {("'=cmd()", '{"a":-1}', "false")}
    assert len((await served.ask("GET", "/v1/events?format=csv&limit=2")).text.splitlines()) == 3


async def test_csv_of_many_runs_is_read_page_by_page(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdc.web.api.tables.ROWS", 4)
    await served.state.rows(RUNS)
    rows = list(csv.DictReader((await served.ask("GET", "/v1/runs?format=csv")).text.splitlines()))
    assert [int(row["id"][-6:]) for row in rows] == list(range(30, 0, -1))
    assert (await served.ask("GET", "/v1/runs?format=csv&cursor=nonsense")).status_code == 400


async def test_an_event_is_sent_again_under_a_new_id(served: Served) -> None:
    sent = {"name": "app/order.paid", "data": {"n": 12345678901234567890123}, "id": "own", "v": "2"}
    (event_id,) = (await served.post("/e/any", json.dumps(sent).encode()))[1]["ids"]
    code, answer = await served.post(f"/v1/events/{event_id}/resend")
    assert (code, answer["data"]["event_id"] == event_id) == (200, False)
    _, again = await served.get(f"/v1/events/{answer['data']['event_id']}")
    assert (again["data"]["name"], again["data"]["data"], again["data"]["v"]) == (sent["name"], sent["data"], "2")
    assert again["data"]["given_id"] is None
    assert len((await served.get(f"/v1/events/{answer['data']['event_id']}/runs"))[1]["data"]) == 1

    _, invoked = await served.post("/v1/functions/paid/invoke")
    code, answer = await served.post(f"/v1/events/{invoked['data']['event_id']}/resend")
    assert (code, "replay that run" in answer["error"]) == (409, True)
