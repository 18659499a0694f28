"""Sessions of browsers: the login, its cookie, and what forms have to carry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cdc.web.guard.csrf import SameOrigin
from cdc.web.guard.sessions import AT_MOST, LASTS, Sessions, new_nonce
from cdc.web.guard.terms import Terms
from cdc.web.pages.login import own_path
from tests.web.conftest import Asgi, Serve, Served

TOKEN = "open-sesame-open-sesame"
FIELD = re.compile(r'name="csrf" value="([0-9a-f]{64})"')
HTTPS = {"x-forwarded-proto": "https"}


class Browser:
    """What a browser does with cookies and says of where a request comes from."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self._url = url
        self._headers = {"accept": "text/html", **(headers or {})}
        self.jar: dict[str, str] = {}

    async def get(self, path: str) -> httpx.Response:
        return await self._ask("GET", path)

    async def submit(
        self, path: str, fields: dict[str, str], origin: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return await self._ask("POST", path, fields, {"origin": self._url} if origin is None else origin)

    async def field(self) -> str:
        """That of the login's form."""
        found = FIELD.search((await self.get("/login")).text)
        assert found is not None
        return found[1]

    async def log_in(self, token: str = TOKEN, to: str = "/v1/status") -> httpx.Response:
        return await self.submit("/login", {"token": token, "next": to, "csrf": await self.field()})

    async def _ask(
        self, method: str, path: str, fields: dict[str, str] | None = None, said: Mapping[str, str] | None = None
    ) -> httpx.Response:
        cookies = "; ".join(f"{name}={value}" for name, value in self.jar.items())
        headers = {**self._headers, "cookie": cookies, **(said or {})}
        async with httpx.AsyncClient(base_url=self._url, trust_env=False, headers=headers, timeout=60) as client:
            answer = await client.request(method, path, data=fields)
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            self.jar[name] = value
            if "Max-Age=0" in header:
                del self.jar[name]
        return answer


@pytest.fixture
async def guarded(serve: Serve) -> Served:
    return await serve(terms=Terms(token=TOKEN), proxies="127.0.0.1")


@pytest.fixture
async def browser(guarded: Served) -> Browser:
    return Browser(guarded.url)


async def test_the_token_becomes_a_session_that_leads_where_one_wanted_to_go(browser: Browser) -> None:
    asked = await browser.get("/v1/status?a=1")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/v1/status%3Fa%3D1")
    page = await browser.get(asked.headers["location"])
    assert '<label for="token">' in page.text
    assert 'name="next" value="/v1/status?a=1"' in page.text

    entered = await browser.log_in(to="/v1/status?a=1")
    assert (entered.status_code, entered.headers["location"]) == (303, "/v1/status?a=1")
    assert (await browser.get("/v1/status")).status_code == 200
    assert (await browser.get("/login")).status_code == 303

    left = await browser.submit("/logout", {"csrf": Sessions(TOKEN).field(browser.jar["cdc"].split(".")[2])})
    assert (left.status_code, left.headers["location"]) == (303, "/login")
    assert (await browser.get("/v1/status")).status_code == 303


async def test_a_wrong_token_opens_nothing_and_says_so(browser: Browser) -> None:
    answer = await browser.log_in("wrong")
    assert answer.status_code == 403
    assert 'role="alert"' in answer.text
    assert TOKEN not in answer.text
    assert "cdc" not in browser.jar


async def test_the_cookie_is_for_this_host_alone_and_for_no_script(guarded: Served) -> None:
    plain, secure = Browser(guarded.url), Browser(guarded.url, HTTPS)
    assert set_cookie(await plain.log_in()) == f"cdc; Path=/; Max-Age={LASTS}; HttpOnly; SameSite=Strict"
    entered = await secure.log_in()
    assert set_cookie(entered) == f"__Host-cdc; Path=/; Max-Age={LASTS}; HttpOnly; SameSite=Strict; Secure"
    assert "strict-transport-security" in entered.headers
    assert (await secure.get("/v1/status")).status_code == 200

    # Another service on this host name can set a cookie without the prefix: by https it counts for nothing.
    fixed = Browser(guarded.url, HTTPS)
    fixed.jar = {"cdc": plain.jar["cdc"]}
    assert (await fixed.get("/v1/status")).status_code == 303


def set_cookie(answer: httpx.Response) -> str:
    """The header without the value."""
    return re.sub(r"=[^;]+", "", answer.headers["set-cookie"], count=1)


async def test_a_session_that_was_tampered_with_is_none(browser: Browser) -> None:
    await browser.log_in()
    good = browser.jar["cdc"]
    started, ends, nonce, mac = good.split(".")
    for bad in (
        f"{started}.{int(ends) + 1}.{nonce}.{mac}",
        f"{int(started) + 1}.{ends}.{nonce}.{mac}",
        f"{started}.{ends}.{nonce[:-1]}{'A' if nonce[-1] != 'A' else 'B'}.{mac}",
        f"{started}.{ends}.{nonce}.{mac[:-1]}{'0' if mac[-1] != '0' else '1'}",
        f"{started}.{ends}.{nonce}.",
        f"{good}.",
        f"{started}.{ends}.{nonce}.{Sessions(TOKEN).field(nonce)}",
        Sessions("another token of 26 letters").written(Sessions(TOKEN).start()),
        "",
    ):
        browser.jar["cdc"] = bad
        assert (await browser.get("/v1/status")).status_code == 303, bad
    browser.jar["cdc"] = good
    assert (await browser.get("/v1/status")).status_code == 200


def test_a_session_ends_and_its_end_moves_while_it_is_used() -> None:
    now = 1_800_000_000.0
    signer = Sessions(TOKEN, clock=lambda: now)
    session = signer.start()
    cookie = signer.written(session)
    now += LASTS - 1
    assert signer.read(cookie) == session
    renewed = signer.renewed(session)
    now += 1
    assert signer.read(cookie) is None
    assert renewed is not None
    assert signer.read(signer.written(renewed)) == renewed
    assert signer.renewed(renewed) is None
    assert signer.field(renewed.nonce) == signer.field(session.nonce)

    now = session.started + AT_MOST - 1
    last = signer.renewed(session)
    assert last is not None
    assert last.ends == session.started + AT_MOST
    now += 1
    assert signer.read(signer.written(last)) is None
    assert signer.read(signer.written(last._replace(ends=int(now) + 99))) is None


async def test_a_session_that_is_used_is_renewed(guarded: Served, browser: Browser) -> None:
    signer = Sessions(TOKEN)
    session = signer.start()
    older = session._replace(started=session.started - 3600, ends=session.ends - 3600)
    browser.jar["cdc"] = signer.written(older)
    answer = await browser.get("/v1/status")
    assert answer.status_code == 200
    now = signer.read(browser.jar["cdc"])
    assert now is not None
    assert now.nonce == session.nonce
    assert now.started == older.started
    assert now.ends > older.ends
    assert "set-cookie" not in (await browser.get("/v1/status")).headers


async def test_a_form_from_elsewhere_is_refused(browser: Browser) -> None:
    form = {"token": TOKEN, "csrf": await browser.field()}
    refused: list[dict[str, str]] = [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:1"},
        {},
    ]
    for origin in refused:
        answer = await browser.submit("/login", form, origin)
        assert answer.status_code == (403 if origin else 415), origin
        assert "cdc" not in browser.jar
    for origin in ({"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}):
        assert (await browser.submit("/login", form, origin)).status_code == 303
        del browser.jar["cdc"]


async def test_a_session_acts_for_no_page_elsewhere(guarded: Served, browser: Browser) -> None:
    await browser.log_in()
    cookie = f"cdc={browser.jar['cdc']}"
    path, body = "/v1/functions/none/pause", b"{}"
    assert (await guarded.ask("POST", path, body, cookie=cookie, origin="https://evil.example")).status_code == 403
    assert (await guarded.ask("POST", path, body, cookie=cookie, sec_fetch_site="same-site")).status_code == 403
    assert (await guarded.ask("POST", path, body, cookie=cookie, content_type="text/plain")).status_code == 415
    assert (await guarded.ask("POST", path, body, cookie=cookie, origin=guarded.url)).status_code == 404
    # What says nothing of a page, and is JSON, no browser has sent for another one.
    assert (await guarded.ask("POST", path, body, cookie=cookie)).status_code == 404


async def test_without_a_login_a_page_elsewhere_can_do_nothing_either(served: Served) -> None:
    path = "/v1/functions/none/pause"
    assert (await served.ask("POST", path, b"{}", origin="https://evil.example")).status_code == 403
    assert (await served.ask("POST", path, b"{}")).status_code == 404
    preflight = await served.ask("OPTIONS", path, origin="https://evil.example")
    assert not [name for name in preflight.headers if name.startswith("access-control")]


async def test_a_form_without_its_field_is_refused(guarded: Served, browser: Browser) -> None:
    other = await Browser(guarded.url).field()
    await browser.field()
    wrong: list[dict[str, str]] = [{}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": other}, {"csrf": "é"}]
    for fields in wrong:
        answer = await browser.submit("/login", {"token": TOKEN, **fields})
        assert answer.status_code == 403
        assert "load its page again" in answer.text
    before = await browser.field()
    await browser.log_in()
    assert (await browser.submit("/logout", {"csrf": before})).status_code == 403, (
        "it was a visitor's, not the session's"
    )


async def test_a_form_is_bounded(browser: Browser) -> None:
    assert (await browser.submit("/login", {"token": "x" * 5_000_000})).status_code == 413
    assert (await browser.submit("/login", {f"f{number}": "" for number in range(300)})).status_code == 400


async def test_ten_wrong_tokens_of_an_address_are_enough_for_a_minute(guarded: Served) -> None:
    one, other = (Browser(guarded.url, {"x-forwarded-for": each}) for each in ("192.0.2.1", "192.0.2.2"))
    assert [(await one.log_in("wrong")).status_code for _ in range(11)] == [403] * 10 + [429]
    late = await one.log_in()
    assert late.status_code == 429
    assert 1 <= int(late.headers["retry-after"]) <= 60
    assert (await other.log_in()).status_code == 303


async def test_a_hundred_wrong_tokens_of_all_are_enough_for_a_minute(guarded: Served) -> None:
    answers = []
    for number in range(11):
        each = Browser(guarded.url, {"x-forwarded-for": f"192.0.2.{number}"})
        field = await each.field()
        answers += [(await each.submit("/login", {"token": "wrong", "csrf": field})).status_code for _ in range(10)]
    assert answers == [403] * 100 + [429] * 10


@pytest.mark.parametrize("path", ["/", "/runs?status=failed&limit=5", "/runs/%2F%2Fx", "/a//b", "/é"])
def test_a_login_leads_to_a_path_of_ours(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "elsewhere",
    [
        *(
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "evil.example",
        ),
        *("javascript:alert(1)", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", " //evil.example", ""),
        *("/x\r\nset-cookie: a=b", "/" + "a" * 5000, "/\u202e", "/\x00"),
    ],
)
def test_a_login_leads_nowhere_else(elsewhere: str) -> None:
    assert own_path(elsewhere) == "/"


async def test_without_a_token_there_is_nothing_to_log_in_to(served: Served) -> None:
    answer = await Browser(served.url).get("/login?next=//evil.example")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_form_reaches_its_route_whole_and_once(serve: Serve) -> None:
    seen: list[bytes] = []

    def around(inner: Asgi) -> Asgi:
        async def reading(scope: Scope, receive: Receive, send: Send) -> None:
            while True:
                message = await receive()
                seen.append(message["body"])
                if not message["more_body"]:
                    break
            await Response()(scope, receive, send)

        return SameOrigin(reading, Sessions(None))

    browser = Browser((await serve(around=around)).url)
    browser.jar["cdc-visitor"] = nonce = new_nonce()
    fields = {"csrf": Sessions(None).field(nonce), "data": "é" * 100_000}
    assert (await browser.submit("/x", fields)).status_code == 200
    assert parse_qs(b"".join(seen).decode()) == {name: [value] for name, value in fields.items()}
