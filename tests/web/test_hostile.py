"""Rows, events and errors are hostile: whatever is in them, pages show it as text, bounded, in its own direction."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from cdc.store import ai_calls
from cdc.store.ai_calls import CallRecord
from tests.store.state import definition
from tests.web.conftest import Serve, Served

MARKUP = "<script>hostile()</script>\"'><img src=x onerror=hostile()><hostile-tag></title></textarea>{{ 1234567 * 7 }}"
TURNED = "\u202ehostile\u2066"
SMALL = f"{MARKUP}{TURNED}\x1b[31m=1+1"
"""What a name may be made of: Postgres stores it as text."""

RUN, EVENT, OTHER = (f"01990000-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))

VALUES = {
    SMALL: [SMALL, {"nested": SMALL}],
    "nul": "\x00before\x00after",
    "half": "\ud800 half a pair \udfff",
    "huge": MARKUP * 10_000,
    "many": list(range(100_000)),
    "link": "javascript:hostile()",
    "number": 2**70,
}
ROW = json.dumps(
    {"new": VALUES, "old": {**VALUES, "huge": "x" * 1_000_000}, "unchanged": [], "schema": SMALL, "table": SMALL}
)
ERROR = json.dumps({"name": SMALL, "message": MARKUP * 10_000 + "\ud800\x00", "stack": SMALL * 10_000, "data": VALUES})

PAGES = (
    *("/overview", "/functions", "/functions/hostile", "/runs", f"/runs/{RUN}", f"/events/{EVENT}", "/events", "/ai"),
    *("/ai/calls/{call}", "/events/send", f"/events/send?copy={EVENT}", f"/events?q={TURNED}", "/<hostile-tag>"),
    *("/runs?since=<hostile-tag>&span=custom", "/runs?function=<hostile-tag>", "/events?name=<hostile-tag>"),
)

_ISOLATES = {"bdi", "code", "pre", "textarea", "input", "option", "title"}
_MOST = 3 * 1024 * 1024


class Read(HTMLParser):
    """What a browser would make of a page: complains of all that is not from a template of ours."""

    VOID = ("meta", "link", "img", "input", "br", "hr", "path", "line", "rect", "circle", "use", "col", "source", "wbr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        self.wrong += [f"<{tag}> is not ours" for _ in (1,) if "hostile" in tag]
        for name, value in attributes:
            if name.startswith("on") or name == "style" or "hostile" in name:
                self.wrong.append(f"<{tag} {name}>")
            if name in ("href", "src", "action", "formaction") and not (value or "").startswith(("/", "#", "?")):
                self.wrong.append(f"<{tag} {name}={value!r}>")
        if tag == "script" and not (given.get("src") or "").startswith("/static/"):
            self.wrong.append("a script in the page")
        if tag not in self.VOID:
            self._open.append((tag, given))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "\u202e" in data and not any(tag in _ISOLATES or given.get("dir") == "auto" for tag, given in self._open):
            self.wrong.append(f"direction is not isolated in {[tag for tag, _ in self._open][-3:]}: {data[:40]!r}")


@pytest.fixture
async def hostile(serve: Serve) -> Served:
    """A service with all of that in its tables."""
    served = await serve()
    await served.state.register({**definition("hostile", on="app/hostile"), "name": SMALL})
    prompt = json.dumps({"model": SMALL, "body": {"messages": [{"role": SMALL, "content": VALUES["huge"]}]}})
    fields = json.dumps({SMALL: VALUES})
    for table, columns, values in (
        ("events", "id, name, ts, data, given_id, user_data, v", (EVENT, SMALL, "now", ROW, SMALL, ROW, SMALL)),
        (
            "runs",
            "id, function_id, event_ids, status, ended_at, output, error",
            (RUN, "hostile", f"{{{EVENT}}}", "failed", "now", ROW, ERROR),
        ),
        ("runs", "id, function_id, event_ids, status", (OTHER, SMALL, "{}", "queued")),
        (
            "steps",
            "run_id, id, kind, input, data, error, started_at, ended_at",
            (RUN, SMALL, "run", ROW, ROW, ERROR, "now", "now"),
        ),
        ("steps", "run_id, id, kind, input, data, started_at", (RUN, "ask", "infer", prompt, ROW, "now")),
        ("attempts", "run_id, step_id, attempt, error, started_at, ended_at", (RUN, SMALL, "1", ERROR, "now", "now")),
        ("logs", "run_id, level, line, fields", (RUN, "info", SMALL * 1000, fields)),
        (
            "waits",
            "run_id, id, cancels, event, path, value, expires_at",
            (RUN, SMALL, "false", SMALL, SMALL, SMALL, "now"),
        ),
        ("rejected_events", "id, name, position, reason", (OTHER, SMALL, "0/1", SMALL)),
    ):
        places = ", ".join(["%s"] * len(values))
        statement = f"insert into cdc_state.{table} ({columns}) values ({places})"
        await served.state.connection.execute(statement.encode(), values)
    call = CallRecord("chat", SMALL, SMALL, 0.5, run_id=RUN, step_id="ask", attempt=1, function_id=SMALL)
    await ai_calls.write(served.state.connection, [call])
    return served


async def test_no_page_takes_a_value_for_anything_but_text(hostile: Served) -> None:
    call = await hostile.state.one("select id from cdc_state.ai_calls")
    async with httpx.AsyncClient(base_url=hostile.url, trust_env=False, timeout=60) as client:
        wrong = []
        for page in PAGES:
            answer = await client.get(page.replace("{call}", str(call)), headers={"accept": "text/html"})
            assert answer.status_code < 500, page
            wrong += [f"{page}: {each}" for each in found(answer)]
        assert not wrong, "\n".join(wrong)


def found(answer: httpx.Response) -> Iterator[str]:
    """What is wrong with an answer."""
    if len(answer.content) > _MOST:
        yield f"{len(answer.content)} bytes"
    if b"\x00" in answer.content:
        yield "a NUL"
    if "default-src 'none'" not in answer.headers["content-security-policy"]:
        yield "no policy"
    if answer.headers.get("content-type", "").startswith("text/html"):
        yield from Read(answer.text).wrong
        if str(1234567 * 7) in answer.text:
            yield "a template in a value"


async def test_a_table_for_spreadsheets_computes_nothing(hostile: Served) -> None:
    for path in ("/v1/events?format=csv", "/v1/runs?format=csv"):
        answer = await hostile.ask("GET", path)
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment")
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


async def test_the_api_answers_json_whatever_is_stored(hostile: Served) -> None:
    for path in (f"/v1/runs/{RUN}", f"/v1/events/{EVENT}", "/v1/events", "/v1/runs", "/v1/functions"):
        answer = await hostile.ask("GET", path)
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json()["data"]
