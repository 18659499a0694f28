"""Pages as people read them, and forms as browsers send them."""

from __future__ import annotations

import re
from html import unescape

import httpx

from tests.web.conftest import Served

EVIL = '<script>alert("\u202e")</script>'

_FIELD = re.compile(r'name="csrf" value="(\w*)"')


async def page(served: Served, path: str, status: int = 200) -> str:
    """A page as it is sent; it has nothing that a strict policy forbids."""
    response = await served.ask("GET", path)
    assert response.status_code == status
    assert response.headers["content-type"].startswith("text/html")
    assert " style=" not in response.text
    assert EVIL not in response.text
    return response.text


def spoken(page: str) -> str:
    """Its text, without markup, on one line."""
    text = re.sub(r"<[^>]*>", " ", re.sub(r"</?(bdi|span|strong|code|a|ins|del)\b[^>]*>", "", page))
    return re.sub(r"\s+", " ", unescape(text))


async def submit(served: Served, shown: str, path: str, **fields: str | list[str]) -> httpx.Response:
    """Send a form of the page `shown`."""
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as browser:
        found = _FIELD.search((await browser.get(shown)).text)
        assert found, "the page has a form"
        sent = {**fields, "csrf": found[1]}
        return await browser.post(path, data=sent, headers={"sec-fetch-site": "same-origin"})


def leads_to(response: httpx.Response) -> str:
    """Where a form's answer leads."""
    assert response.status_code == 303, response.text
    return response.headers["location"]
