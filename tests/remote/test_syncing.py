"""The service asks apps for their functions, with keys and without, until they tell and whenever somebody wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.remote.apps import KEY, App
from tests.remote.conftest import Api, Serve
from tests.waiting import eventually


@asynccontextmanager
async def polling(api: Api) -> AsyncIterator[None]:
    task = asyncio.create_task(api.apps.forever())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_an_app_that_is_added_tells_of_its_functions(api: Api, app: App) -> None:
    app.deploy(api.url, "bill")
    assert await api.added(app.url) is None
    assert await api.functions() == ["shop-bill"]
    ((row,)) = await api.listed()
    assert (row["name"], row["url"], row["error"]) == ("shop", app.url, None)


async def test_an_app_that_is_added_by_another_url_is_the_same_app(api: Api, app: App) -> None:
    app.deploy(api.url, "bill")
    await app.put()
    assert await api.added(app.url.replace("127.0.0.1", "localhost")) is None
    assert [row["name"] for row in await api.listed()] == ["shop"]


async def test_why_an_app_cannot_be_synced_is_told_and_forgotten_when_it_can(api: Api, app: App) -> None:
    missing = await api.added(app.url)
    assert missing is not None
    assert "404" in missing
    app.deploy("http://127.0.0.1:9", "bill")
    told_nobody = await api.synced(app.url)
    assert told_nobody is not None
    ((row,)) = await api.listed()
    assert row["error"] == told_nobody
    app.deploy(api.url, "bill")
    assert await api.synced(app.url) is None
    ((row,)) = await api.listed()
    assert (row["name"], row["error"]) == ("shop", None)


async def test_nothing_but_what_is_allowed_is_asked(api: Api) -> None:
    for url in ("http://10.1.2.3/x", "http://169.254.169.254/latest/meta-data"):
        error = await api.added(url)
        assert error is not None
        assert "CDC_APP_HOSTS" in error or "169.254" in error


async def test_with_a_key_an_app_tells_in_its_answer_and_what_is_signed_is_believed(serve: Serve, app: App) -> None:
    api = await serve(KEY, app_hosts="127.0.0.1")
    app.deploy("http://127.0.0.1:9", "bill", key=KEY)
    assert await api.added(app.url) is None
    assert await api.functions() == ["shop-bill"]
    app.deploy("http://127.0.0.1:9", "bill", key=KEY.replace("0", "f"))
    error = await api.synced("shop")
    assert error is not None
    assert "401" in error


async def test_a_dev_app_is_not_taken_by_a_service_with_a_key(serve: Serve, app: App) -> None:
    api = await serve(KEY, app_hosts="127.0.0.1")
    app.deploy(api.url, "bill")
    error = await api.added(app.url)
    assert error is not None
    assert "Dev" in error


async def test_apps_of_the_settings_are_asked_until_they_are_there(serve: Serve, app: App) -> None:
    api = await serve(apps=f" {app.url} ,")
    async with polling(api):
        await eventually(lambda: app.asked)
        app.deploy(api.url, "bill")

        async def synced() -> bool:
            return await api.functions() == ["shop-bill"]

        await eventually(synced)
