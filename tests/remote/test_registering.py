"""What an app tells of itself is in the registry: all of it, once, and nothing that is not so."""

from __future__ import annotations

from typing import Any

import httpx

from tests.remote.apps import App
from tests.remote.conftest import Api
from tests.store.state import definition

URL = "http://127.0.0.1:9/api/inngest"


def body(*functions: str, **besides: Any) -> dict[str, Any]:
    """What an SDK sends."""
    configs = [
        {"id": f"shop-{each}", "name": each, "triggers": [{"event": "app/x"}], "steps": {}} for each in functions
    ]
    return {
        "url": URL,
        "v": "0.1",
        "sdk": "js:v4.24.0",
        "framework": "x",
        "appName": "shop",
        "functions": configs,
        **besides,
    }


async def test_the_official_sdk_syncs_and_again_changes_nothing(api: Api, app: App) -> None:
    app.deploy(api.url, "bill", "ship", retries=7)
    first = (await app.put()).json()
    assert first["ok"] is True
    assert first["modified"] is True
    assert await api.functions() == ["shop-bill", "shop-ship"]
    assert api.woken == [None]
    second = (await app.put()).json()
    assert (second["modified"], second["app_id"]) == (False, first["app_id"])
    assert api.woken == [None]
    ((row,)) = await api.listed()
    assert (row["name"], row["url"], row["functions"]) == ("shop", app.url, ["shop-bill", "shop-ship"])
    assert row["sdk"].startswith("py:v")
    assert row["framework"] == "fast_api"
    stored = await api.state.one("select definition from cdc_state.functions where id = 'shop-bill'")
    assert (stored["app"], stored["retries"], stored["triggers"]) == ("shop", 7, [{"event": "app/order.made"}])


async def test_what_an_app_tells_no_more_of_is_archived_and_comes_back(api: Api, app: App) -> None:
    for functions in (["bill", "ship"], ["ship"], ["bill"]):
        app.deploy(api.url, *functions)
        assert (await app.put()).json()["modified"] is True
        assert await api.functions() == [f"shop-{each}" for each in functions]


async def test_a_moved_app_keeps_its_functions_and_another_at_its_url_takes_its_place(api: Api) -> None:
    await api.register(body("bill"))
    elsewhere = body("bill", url="http://localhost:9/api/inngest")
    assert (await api.register(elsewhere)).json()["modified"] is True
    assert [(row["name"], row["url"]) for row in await api.listed()] == [("shop", elsewhere["url"])]
    renamed = {**elsewhere, "appName": "mall", "functions": [{"id": "mall-bill", "triggers": []}]}
    assert (await api.register(renamed)).status_code == 200
    assert await api.functions() == ["mall-bill"]
    mall, shop = await api.listed()
    assert (mall["name"], mall["url"]) == ("mall", elsewhere["url"])
    assert (shop["name"], shop["url"], shop["functions"]) == ("shop", None, [])
    assert "mall" in shop["error"]


async def test_keys_may_be_spelled_any_way_and_what_is_unknown_is_let_go(api: Api) -> None:
    for name in ("appname", "app_name", "AppName"):
        told = body("bill", **{name: f"by-{name}"}, extra={"deep": [1]}, url=f"{URL}?deployId=7&a={name}")
        told["functions"][0] |= {"id": name, "checkpoint": {"batch_steps": 3}, "rate_limit": None}
        del told["appName"]
        assert (await api.register(told)).status_code == 200
    assert await api.functions() == ["AppName", "app_name", "appname"]
    assert {row["url"] for row in await api.listed()} == {
        f"{URL}?a={name}" for name in ("appname", "app_name", "AppName")
    }


async def test_an_id_of_somebody_else_is_refused_and_nothing_changes(api: Api) -> None:
    await api.state.register(definition("shop-bill"))
    refused = await api.register(body("ship", "bill"))
    assert refused.status_code == 400
    assert "'shop-bill'" in refused.json()["error"]
    assert await api.functions() == ["shop-bill"]
    assert (await api.register(body("ship"))).status_code == 200
    other = {**body("ship"), "appName": "mall", "url": f"{URL}/mall"}
    assert "cdc apps remove shop" in (await api.register(other)).json()["error"]


async def test_what_cannot_be_used_is_refused_with_a_sentence(api: Api) -> None:
    cases: list[tuple[object, str]] = [
        ([], "an object is expected"),
        (body("bill", appName=""), "name"),
        (body("bill", functions=None, url=""), "URL"),
        (body("bill", functions={}), "list"),
        (body("bill", "bill"), "have the id"),
        (body("bill", url="http://169.254.169.254/x"), "169.254.169.254"),
        (body("bill", url="http://10.0.0.7/x"), "CDC_APP_HOSTS"),
        (body("bill", url="file:///etc/passwd"), "http://"),
        (body("bill", functions=[{"id": "f", "throttle": {"limit": 0, "period": "1m"}}]), "'f', throttle: limit"),
    ]
    for told, says in cases:
        refused = await api.register(told)
        assert refused.status_code == 400, told
        assert says in refused.json()["error"]
        assert refused.headers["x-inngest-server-kind"] == "dev"
    async with httpx.AsyncClient(base_url=api.url, trust_env=False, timeout=60) as client:
        headers = {"content-type": "application/json"}
        assert (await client.post("/fn/register", content=b"{", headers=headers)).status_code == 400
    assert (await api.register(body("bill"), x_inngest_expected_server_kind="cloud")).status_code == 400
    assert await api.listed() == []
    assert await api.functions() == []
    assert api.woken == []


async def test_a_removed_app_is_gone_with_its_functions(api: Api) -> None:
    await api.register(body("bill"))
    async with httpx.AsyncClient(base_url=api.url, trust_env=False, timeout=60) as client:
        removed = await client.delete("/fn/remove", params={"url": URL})
    assert removed.json()["ok"] is True
    assert (await api.listed(), await api.functions()) == ([], [])
    assert (await api.register(body("bill"))).json()["modified"] is True
    assert await api.functions() == ["shop-bill"]
