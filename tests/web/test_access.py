"""Every route asks for what it should, and none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NoReturn

import httpx
import pytest
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from cdc.web.app import app
from cdc.web.guard.access import LISTENING, Asks, asks, is_loopback
from cdc.web.guard.sessions import Sessions
from cdc.web.guard.terms import Terms, one_of
from cdc.web.site import Site
from cdc.web.status import Statuses
from tests.web import sdk
from tests.web.conftest import Serve, Served

TOKEN = "open-sesame-open-sesame"
SCRAPES = "scrapes-scrapes-scrapes"
READS = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
TERMS = Terms(token=TOKEN, metrics_token=SCRAPES, reading=(READS,))

OPEN = {
    *(("GET", "/livez"), ("GET", "/readyz"), ("GET", "/login"), ("POST", "/login"), ("POST", "/logout")),
    *(("GET", "/static/{path}"), ("POST", "/e/{key}"), ("OPTIONS", "/e/{key}"), ("GET", "/health")),
    ("GET", "/v1/realtime/sse"),
    *(("GET", f"/v1/{way}/{{run}}/output") for way in ("checkpoint", "http/runs")),
}
"""All that asks for no token. Whoever adds to it says why in docs/security.md."""


UNKNOWN = [("GET", "/nowhere"), ("POST", "/nowhere"), ("DELETE", "/v1/runs"), ("GET", "/e/key")]


def routes(found: list[BaseRoute] | None = None) -> Iterator[tuple[str, str]]:
    """Methods and paths of all that is served."""
    site = Site(Statuses(None), no_connection)
    for route in app(site, sdk.routes(site, no_connection)).routes if found is None else found:
        if isinstance(route, Mount):
            yield "GET", f"{route.path}/{{path}}"
        elif isinstance(route, WebSocketRoute):
            assert route.path == LISTENING
        elif isinstance(route, Route):
            yield from ((method, route.path) for method in sorted((route.methods or set()) - {"HEAD"}))
        else:
            raise TypeError(f"what does {route} ask for?")


def no_connection() -> NoReturn:
    raise AssertionError("nobody asks")


def concrete(path: str) -> str:
    return re.sub(r"{[^}]*}", "00000000-0000-7000-8000-000000000000", path)


WRONG: list[dict[str, str]] = [
    {},
    {"authorization": "Bearer wrong"},
    {"authorization": f"Basic {TOKEN}"},
    {"authorization": f"Bearer {SCRAPES}"},
    {"cookie": "cdc=1.99999999999.AAAAAAAAAAAAAAAAAAAAAA." + "0" * 64},
    {"cookie": f"cdc={TOKEN}; __Host-cdc={TOKEN}"},
]


@pytest.fixture
async def guarded(serve: Serve) -> Served:
    return await serve("key", terms=TERMS, proxies="127.0.0.1")


async def test_every_route_that_is_not_open_refuses_who_has_no_credentials_and_changes_nothing(guarded: Served) -> None:
    walked = 0
    before = await contents(guarded)
    async with httpx.AsyncClient(base_url=guarded.url, trust_env=False, timeout=60) as client:
        for method, path in [*(each for each in routes() if each not in OPEN), *UNKNOWN]:
            for number, wrong in enumerate(WRONG):
                if path in ("/metrics", "/v1/prom/{env}") and SCRAPES in str(wrong):
                    continue
                address = f"10.{walked % 200}.{number}.1"
                told = {"x-forwarded-for": address, "content-type": "application/json", **wrong}
                answer = await client.request(method, concrete(path), headers=told, content=b"{}")
                assert answer.status_code == 401, (method, path, wrong)
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.json().keys() == {"error", "status"}
            page = await client.request(method, concrete(path), headers={"accept": "text/html"})
            assert page.status_code == 303, (method, path)
            assert page.headers["location"].startswith("/login")
            walked += 1
    assert walked > 15
    assert await contents(guarded) == before
    assert guarded.woken == []


async def test_the_token_opens_every_route(guarded: Served) -> None:
    for path in ("/v1/status", "/v1/runs", "/v1/events"):
        assert (await guarded.ask("GET", path, authorization=f"Bearer {TOKEN}")).status_code == 200
    assert (await guarded.ask("GET", "/nowhere", authorization=f"Bearer {TOKEN}")).status_code == 404
    answer = await guarded.ask("POST", "/v1/functions/none/pause", b"{}", authorization=f"bearer {TOKEN}")
    assert answer.status_code == 404


async def test_a_signing_key_reads_and_does_what_sdks_do(guarded: Served) -> None:
    signed = {"authorization": f"Bearer {READS}"}
    assert (await guarded.ask("GET", "/v1/runs", **signed)).status_code == 200
    assert (await guarded.ask("POST", "/v1/signals", {"signal": "none"}, **signed)).status_code == 404
    assert (await guarded.ask("POST", "/v0/telemetry", b"{}", **signed)).status_code == 200
    for method, path in (("POST", "/v1/functions/a/pause"), ("POST", "/v1/runs/cancel"), ("GET", "/")):
        assert (await guarded.ask(method, path, b"{}", **signed)).status_code == 401


FOR_SDKS = (
    *(("POST", "/fn/register"), ("DELETE", "/fn/remove"), ("GET", "/dev"), ("POST", "/v0/telemetry")),
    *(("GET", "/v0/runs/a/batch"), ("DELETE", "/v0/runs/a"), ("DELETE", "/v1/runs/a"), ("POST", "/v1/signals")),
    *(("POST", "/v0/connect/start"), ("POST", "/v1/checkpoint/a/async"), ("POST", "/v1/checkpoint")),
    *(("POST", "/v1/realtime/token"), ("POST", "/invoke/a"), ("POST", "/v1/cancellations")),
    *(("POST", "/v1/runs/a/metadata"), ("POST", "/v1/traces/userland")),
)


async def test_a_signing_key_alone_is_asked_for_by_what_sdks_call_even_on_this_machine(serve: Serve) -> None:
    keyed = await serve(terms=Terms(reading=(READS,)), proxies="127.0.0.1")
    for number, (method, path) in enumerate((*FOR_SDKS, ("POST", "/v0/gql"))):
        for wrong in ({}, {"authorization": "Bearer undefined"}, {"authorization": "Bearer"}):
            told = {"x-forwarded-for": f"10.0.{number}.1", **wrong}
            answer = await keyed.ask(method, path, b"{}", **told)
            assert answer.status_code == 401, (method, path)
            assert "INNGEST_SIGNING_KEY" in answer.json()["error"]
        assert (await keyed.ask(method, path, b"{}", authorization=f"Bearer {READS}")).status_code != 401
    assert answer.headers["x-inngest-server-kind"] == "cloud"


@pytest.mark.parametrize("said", [None, "Bearer", "Bearer undefined"])
async def test_without_any_credential_an_sdk_on_this_machine_is_asked_for_none(serve: Serve, said: str | None) -> None:
    served = await serve()
    headers = {} if said is None else {"authorization": said}
    for method, path in (*FOR_SDKS, ("POST", "/v0/gql")):
        assert (await served.ask(method, path, b"{}", **headers)).status_code not in (401, 403, 415), (method, path)
    assert (await served.ask("GET", "/dev", **headers)).headers["x-inngest-server-kind"] == "dev"


@pytest.mark.parametrize(
    ("keys", "terms"),
    [(("key",), Terms()), ((), Terms(metrics_token=SCRAPES)), ((), Terms(reading=(READS,))), ((), Terms(token=TOKEN))],
)
async def test_the_graph_is_not_open_where_any_credential_is_set(
    serve: Serve, keys: tuple[str, ...], terms: Terms
) -> None:
    keyed = await serve(*keys, terms=terms)
    query = {"query": "{ functions { id } }"}
    assert (await keyed.ask("POST", "/v0/gql", query)).status_code == 401
    assert (await keyed.ask("POST", "/v0/gql", query, authorization="Bearer key")).status_code == 401
    for right in (terms.token, *terms.reading):
        if right:
            assert (await keyed.ask("POST", "/v0/gql", query, authorization=f"Bearer {right}")).status_code != 401


async def test_what_sdks_call_has_any_content_type_but_those_that_a_form_can_have(served: Served) -> None:
    for kind, status in (("application/protobuf", 200), ("text/stream", 200), ("", 200), ("text/plain", 415)):
        assert (await served.ask("POST", "/v0/telemetry", b"x", content_type=kind)).status_code == status
    for told in ({"origin": "https://elsewhere.example"}, {"sec-fetch-site": "cross-site"}):
        assert (await served.ask("POST", "/v0/telemetry", b"{}", **told)).status_code == 403


async def test_events_come_by_their_key_and_by_no_other(guarded: Served) -> None:
    event = {"name": "app/paid"}
    assert (await guarded.post("/e/key", event))[0] == 200
    for key in ("wrong", TOKEN, "key%00", "KEY"):
        assert (await guarded.ask("POST", f"/e/{key}", event, authorization=f"Bearer {TOKEN}")).status_code == 401
    assert (await guarded.ask("POST", "/e/key/more", event)).status_code == 401


@pytest.mark.parametrize(("given", "asked"), [(None, 200), ("Bearer undefined", 200), (f"Bearer {TOKEN}", 200)])
async def test_without_a_token_nothing_is_asked_of_this_machine(served: Served, given: str | None, asked: int) -> None:
    headers = {"authorization": given} if given else {}
    assert (await served.ask("GET", "/v1/runs", **headers)).status_code == asked


@pytest.mark.parametrize(
    "host", ["rebound.example.com", "localhost.example.com", "127.0.0.1.example.com", "", "10.0.0.1"]
)
async def test_a_name_of_somebody_elses_reaches_nothing_that_asks_for_nothing(serve: Serve, host: str) -> None:
    unguarded, guarded = await serve(), await serve(terms=TERMS)
    for method, path in (("GET", "/livez"), ("GET", "/v1/runs"), ("POST", "/e/any")):
        assert (await unguarded.ask(method, path, {"name": "a"}, host=host)).status_code == 400
    # It has a token, and no event key: any name, but for events.
    assert (await guarded.ask("GET", "/livez", host=host)).status_code == 200
    assert (await guarded.ask("POST", "/e/any", {"name": "a"}, host=host)).status_code == 400
    assert (await guarded.ask("POST", "/e/any", {"name": "a"}, host="localhost")).status_code == 200


async def test_who_is_open_to_others_on_purpose_has_any_name(serve: Serve) -> None:
    opened = await serve(terms=Terms(anywhere=True))
    assert (await opened.ask("GET", "/v1/runs", host="cdc.internal")).status_code == 200


async def test_who_is_open_to_others_by_its_address_alone_tells_only_how_it_is(serve: Serve) -> None:
    reached = await serve(terms=Terms(metrics_token=SCRAPES, anywhere=True, closed=True))
    assert (await reached.ask("GET", "/livez", host="10.0.0.1")).status_code == 200
    for path in ("/v1/runs", "/overview", "/metrics"):
        assert (await reached.ask("GET", path, host="10.0.0.1")).status_code == 401
        assert (await reached.ask("GET", path, host="10.0.0.1", authorization="Bearer None")).status_code == 401
    assert (await reached.ask("GET", "/metrics", authorization=f"Bearer {SCRAPES}")).status_code == 200


async def test_wrong_headers_are_counted_for_each_address(serve: Serve) -> None:
    guarded = await serve(terms=TERMS, proxies="127.0.0.1")

    async def told(token: str, address: str) -> httpx.Response:
        return await guarded.ask("GET", "/v1/runs", authorization=f"Bearer {token}", x_forwarded_for=address)

    codes = [(await told(str(number), "192.0.2.1")).status_code for number in range(31)]
    assert codes == [401] * 30 + [429]
    right = await told(TOKEN, "192.0.2.1")
    assert right.status_code == 429
    assert 1 <= int(right.headers["retry-after"]) <= 60
    assert (await told(TOKEN, "192.0.2.2")).status_code == 200


async def test_apps_behind_one_address_do_not_lock_each_other_out(serve: Serve) -> None:
    guarded = await serve(terms=TERMS)
    codes = {(await guarded.ask("POST", "/v0/telemetry", authorization=f"Bearer {n}")).status_code for n in range(32)}
    assert codes == {401}, "an SDK goes on to its other key"
    assert (await guarded.ask("POST", "/v0/telemetry", authorization=f"Bearer {READS}")).status_code == 200
    assert (await guarded.ask("GET", "/v1/runs", authorization=f"Bearer {READS}")).status_code == 200
    assert (await guarded.ask("POST", "/v0/telemetry", authorization=f"Bearer {TOKEN}")).status_code == 401
    assert (await guarded.ask("GET", "/v1/runs", authorization=f"Bearer {TOKEN}")).status_code == 429


async def test_every_answer_tells_browsers_to_run_and_to_keep_nothing(guarded: Served) -> None:
    for path, status in (("/login", 200), ("/livez", 200), ("/v1/runs", 401), ("/static/style.css", 200)):
        answer = await guarded.ask("GET", path)
        assert answer.status_code == status
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == ("no-cache" if "static" in path else "no-store")
        assert "strict-transport-security" not in answer.headers
        assert "server" not in answer.headers


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:8288", "[::1]", "[::1]:8288"])
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("path", ["/e/", "/e/a/b", "/e", "/E/a", "/livez/", "/static", "/logins", "//livez", "/v1", ""])
def test_what_is_only_like_an_open_path_is_not_open(path: str) -> None:
    assert asks("POST", path) is not Asks.NOTHING
    assert asks("GET", path) is not Asks.NOTHING
    if path != "/e/":
        assert asks("POST", path) is not Asks.EVENT_KEY


def test_secrets_are_compared_whatever_they_are_made_of() -> None:
    assert one_of("\ud800é", ["x", "\ud800é"])
    assert not one_of("", ["x"])


async def contents(served: Served) -> list[object]:
    """What a change would show in."""
    tables = await served.state.rows("select tablename from pg_tables where schemaname = 'cdc_state'")
    counts = [f"select '{name}', count(*) from cdc_state.{name}" for (name,) in tables]
    return list(await served.state.rows(" union all ".join(counts) + " order by 1"))


async def test_no_session_acts_for_a_page_elsewhere_on_any_route(guarded: Served) -> None:
    before = await contents(guarded)
    sessions = Sessions(TOKEN)
    cookie = {"cookie": f"cdc={sessions.written(sessions.start())}"}
    elsewhere = {**cookie, "content-type": "application/json", "origin": "https://evil.example"}
    form = {**cookie, "content-type": "application/x-www-form-urlencoded", "origin": guarded.url}
    walked = 0
    async with httpx.AsyncClient(base_url=guarded.url, trust_env=False, timeout=60) as client:
        for method, path in routes():
            if method in ("GET", "HEAD") or path == "/e/{key}":
                continue
            told = await client.request(method, concrete(path), content=b"{}", headers=elsewhere)
            assert told.status_code == 403, path
            told = await client.request(method, concrete(path), content=b"data=%7B%7D", headers=form)
            assert (told.status_code, "load its page again" in told.text) == (403, True), path
            walked += 1
    assert walked > 10
    assert await contents(guarded) == before
    assert guarded.woken == []
