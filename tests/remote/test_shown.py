"""Apps in the API and on their page: shown, added, asked and removed; what they say of themselves stays text."""

from __future__ import annotations

from tests.remote.apps import App
from tests.remote.conftest import Api
from tests.remote.test_registering import body
from tests.web.conftest import Served
from tests.web.reading import EVIL, leads_to, page, spoken, submit


async def test_the_api_lists_adds_and_removes_apps(api: Api, app: App) -> None:
    app.deploy(api.url, "bill", "ship")
    served = Served(api.url, api.state)
    code, added = await served.post("/v1/apps", {"url": app.url})
    assert (code, added["data"]["name"], added["data"]["error"]) == (200, "shop", None)
    assert (await served.get("/v1/apps"))[1]["data"] == [added["data"]]
    _, functions = await served.get("/v1/apps/shop/functions")
    assert [each["id"] for each in functions["data"]] == ["shop-bill", "shop-ship"]
    assert functions["data"][0]["app"] == "shop"
    removed = await served.ask("DELETE", "/v1/apps/shop")
    assert removed.json() == {"data": {"name": "shop"}}
    for method, path in (("GET", "/v1/apps/shop/functions"), ("DELETE", "/v1/apps/shop")):
        assert (await served.ask(method, path)).status_code == 404
    for url in ("", "shop", "ftp://x/y", "http://"):
        assert (await served.post("/v1/apps", {"url": url}))[0] in (200, 400)
    away = (await served.post("/v1/apps", {"url": "http://127.0.0.1:9/x"}))[1]["data"]
    assert "refuses connections" in away["error"]
    assert (await served.ask("DELETE", "/v1/apps/http%3A%2F%2F127.0.0.1%3A9%2Fx")).status_code == 200


async def test_the_page_of_apps_adds_asks_and_removes(api: Api, app: App) -> None:
    served = Served(api.url, api.state)
    assert "There is no app yet" in spoken(await page(served, "/apps"))
    app.deploy(api.url, "bill")
    assert leads_to(await submit(served, "/apps", "/apps/add", url=app.url)) == "/apps?done=sync"
    sent = await page(served, "/apps")
    text = spoken(sent)
    assert "py:v" in text
    assert app.url in text
    assert 'href="/functions/shop-bill"' in sent
    assert "shop" in spoken(await page(served, "/functions"))
    assert "of the app shop" in spoken(await page(served, "/functions/shop-bill"))
    app.deploy(api.url, "bill", "ship")
    assert leads_to(await submit(served, "/apps", "/apps/sync", app="shop")) == "/apps?done=sync"
    assert await api.functions() == ["shop-bill", "shop-ship"]
    assert leads_to(await submit(served, "/apps", "/apps/remove", app="shop")) == "/apps?done=remove"
    assert await api.functions() == []
    unusable = await submit(served, "/apps", "/apps/add", url="shop")
    assert unusable.status_code == 400
    assert "http://" in spoken(unusable.text)
    assert (await submit(served, "/apps", "/apps/sync", app="shop")).status_code == 404
    assert leads_to(await submit(served, "/apps", "/apps/add", url="http://127.0.0.1:9/x")) == "/apps"
    assert "refuses connections" in spoken(await page(served, "/apps"))


async def test_what_an_app_says_of_itself_stays_text(api: Api) -> None:
    evil = EVIL.replace("\u202e", "")
    told = body("bill", appName=evil, framework=evil, sdk=evil, appVersion=evil, url=f"http://127.0.0.1:9/{evil}")
    told["functions"][0]["id"] = evil
    assert (await api.register(told)).status_code == 200
    served = Served(api.url, api.state)
    for path in ("/apps", "/functions"):
        assert evil not in await page(served, path)
        assert evil in spoken(await page(served, path))
