"""What the app says of itself: each function with all that it asks for, in a cluster's words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cdc import (
    Batch,
    Cancel,
    Concurrency,
    Context,
    Cron,
    Debounce,
    EventTrigger,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
    embedded_tables,
    function,
)
from cdc.cluster.configs import config_of
from cdc.errors import ConfigurationError
from tests.cluster.harness import serving

Patch = pytest.MonkeyPatch


async def handler(ctx: Context) -> None: ...


async def test_every_option_of_a_function_is_registered_in_the_clusters_words(monkeypatch: Patch) -> None:
    everything = function(
        "everything",
        on=[
            EventTrigger("db/orders.*", if_exp="event.data.new.total > 10", match={"data.schema": "public"}),
            Cron("0 9 * * 1-5", "Europe/Berlin"),
            "app/order.paid",
        ],
        name="All of it",
        retries=7,
        on_failure=handler,
        concurrency=[Concurrency(2), Concurrency(9, "event.data.tenant", "env")],
        throttle=Throttle(5, "90s", burst=2, key="event.data.tenant"),
        rate_limit=RateLimit(3, timedelta(hours=2)),
        debounce=Debounce("5m", "event.data.id", timeout="1d"),
        priority="event.data.vip ? 100 : 0",
        singleton=Singleton("cancel", "event.data.id"),
        cancel_on=[Cancel("app/order.cancelled", match="data.id"), Cancel("app/stop", timeout="2w")],
        timeouts=Timeouts(start="1h", finish=7200),
    )(handler)
    gathers = function(
        "gathers", on="app/a", batch_events=Batch(50, "5s", "event.data.k", "event.data.n > 1"), retries=0
    )(handler)
    once = function("once", on="app/b", idempotency="event.data.id")(handler)
    async with serving(monkeypatch, everything, gathers, once) as cluster:
        found = await cluster.sync()
        runtime = {"type": "http", "url": f"{cluster.app_url}?fnId=shop-everything&stepId=step"}

    assert cluster.registered["appname"] == "shop"
    assert found["shop-everything"] == {
        "id": "shop-everything",
        "name": "All of it",
        "triggers": [
            {
                "event": "db/orders.*",
                "expression": 'event.data.schema == "public" && (event.data.new.total > 10)',
            },
            {"cron": "TZ=Europe/Berlin 0 9 * * 1-5"},
            {"event": "app/order.paid"},
        ],
        "steps": {"step": {"id": "step", "name": "step", "retries": {"attempts": 7}, "runtime": runtime}},
        "concurrency": [{"limit": 2, "scope": "fn"}, {"limit": 9, "key": "event.data.tenant", "scope": "env"}],
        "throttle": {"limit": 5, "period": "90s", "burst": 2, "key": "event.data.tenant"},
        "rateLimit": {"limit": 3, "period": "2h"},
        "debounce": {"period": "5m", "key": "event.data.id", "timeout": "1d"},
        "priority": {"run": "event.data.vip ? 100 : 0"},
        "singleton": {"mode": "cancel", "key": "event.data.id"},
        "cancel": [
            {"event": "app/order.cancelled", "if": "event.data.id != null && async.data.id == event.data.id"},
            {"event": "app/stop", "timeout": "2w"},
        ],
        "timeouts": {"start": "1h", "finish": "2h"},
    }
    failure = found["shop-everything-failure"]
    assert failure["triggers"] == [
        {"event": "inngest/function.failed", "expression": 'event.data.function_id == "shop-everything"'}
    ]
    assert failure["steps"]["step"]["retries"] == {"attempts": 7}
    assert found["shop-gathers"]["batchEvents"] == {
        "maxSize": 50,
        "timeout": "5s",
        "key": "event.data.k",
        "if": "event.data.n > 1",
    }
    assert found["shop-gathers"]["steps"]["step"]["retries"] == {"attempts": 0}
    assert found["shop-once"]["idempotency"] == "event.data.id"


@pytest.mark.parametrize(
    ("options", "argument", "note"),
    [
        ({"batch_events": Batch(5)}, ("batch_events", "timeout", "1s"), "fills for a second"),
        ({"batch_events": Batch(5, "5m")}, ("batch_events", "timeout", "1m"), "60 seconds"),
        ({"debounce": Debounce("0.2s")}, ("debounce", "period", "1s"), "0.2 s become 1 s"),
        ({"debounce": Debounce("90.5s")}, ("debounce", "period", "91s"), "90.5 s become 91 s"),
        ({"columns": ["name"]}, None, "ends at once"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_is_not_quite_the_same_there_is_said(
    options: dict[str, Any], argument: tuple[str, str, str] | None, note: str
) -> None:
    config = config_of(function("f", on="db/users.updated", **options)(handler), "shop")

    assert note in " ".join(config.notes)
    if argument is not None:
        option, name, value = argument
        assert config.arguments[option].model_dump(mode="json")[name] == value


async def test_an_order_that_a_cluster_cannot_keep_is_refused_unless_the_nearest_will_do(monkeypatch: Patch) -> None:
    ordered = function("ordered", on="db/users.*", order_by="event.data.new.id", concurrency=5)(handler)

    with pytest.raises(ConfigurationError, match=r"'ordered' cannot run on a cluster as it is.*--approximate"):
        async with serving(monkeypatch, ordered):
            pass

    async with serving(monkeypatch, ordered, approximate=True) as cluster:
        found = (await cluster.sync())["shop-ordered"]
    assert found["concurrency"] == [
        {"limit": 1, "key": "event.data.new.id", "scope": "fn"},
        {"limit": 5, "scope": "fn"},
    ]


async def test_what_follows_embedded_tables_stays_with_the_service(monkeypatch: Patch) -> None:
    stays = function("stays", on=embedded_tables())(handler)
    goes = function("goes", on=[embedded_tables(), "app/again"])(handler)

    async with serving(monkeypatch, stays, goes) as cluster:
        found = await cluster.sync()
    assert list(found) == ["shop-goes"]
    assert found["shop-goes"]["triggers"] == [{"event": "app/again"}]

    with pytest.raises(ConfigurationError, match="no function that a cluster could run"):
        async with serving(monkeypatch, stays):
            pass


async def test_without_a_signing_key_only_a_development_server_is_served(
    monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cdc.ai.infer import Models
    from cdc.cluster.app import app_of
    from cdc.cluster.handling import Around

    monkeypatch.delenv("INNGEST_DEV", raising=False)
    monkeypatch.delenv("INNGEST_SIGNING_KEY", raising=False)
    monkeypatch.delenv("INNGEST_EVENT_KEY", raising=False)
    some = function("some", on="app/a")(handler)

    with pytest.raises(ConfigurationError, match="no INNGEST_SIGNING_KEY"):
        app_of(Around("shop", {"some": some}, lambda _: None, Models({})))  # type: ignore[arg-type,return-value]
    assert "without INNGEST_EVENT_KEY" in capsys.readouterr().out
