"""What SDKs tell of functions becomes what `@function` would have made of it, or one error that says what is wrong."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    function,
)
from cdc.authoring.triggers import Trigger
from cdc.events.match import Registry
from cdc.remote.configs import Unusable, definition, definitions
from cdc.remote.registering import told

KEYS = st.sampled_from((None, "event.data.user_id", "event.data.a + '/' + event.data.b"))
LIMITS = st.integers(1, 1000)
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATIONS = st.tuples(st.integers(1, 6), st.sampled_from(list(UNITS)))
"""As SDKs write them, and in seconds."""


def said(duration: tuple[int, str]) -> str:
    return f"{duration[0]}{duration[1]}"


def long(duration: tuple[int, str]) -> float:
    return float(duration[0] * UNITS[duration[1]])


Option = tuple[str, object, str, Any]
"""As SDKs tell it, and as authors write it."""


@st.composite
def throttles(draw: st.DrawFn) -> Option:
    limit, period, burst, key = draw(LIMITS), draw(DURATIONS), draw(LIMITS), draw(KEYS)
    said_ = {"limit": limit, "period": said(period), "burst": burst, "key": key}
    return "throttle", said_, "throttle", Throttle(limit, long(period), burst, key)


@st.composite
def rate_limits(draw: st.DrawFn) -> Option:
    limit, period, key = draw(LIMITS), draw(DURATIONS), draw(KEYS)
    return (
        "rateLimit",
        {"limit": limit, "period": said(period), "key": key},
        "rate_limit",
        RateLimit(limit, long(period), key),
    )


@st.composite
def debounces(draw: st.DrawFn) -> Option:
    period, timeout, key = draw(DURATIONS), draw(DURATIONS), draw(KEYS)
    said_ = {"period": said(period), "timeout": said(timeout), "key": key}
    return "debounce", said_, "debounce", Debounce(long(period), key, long(timeout))


@st.composite
def concurrencies(draw: st.DrawFn) -> Option:
    limits = draw(st.lists(st.tuples(LIMITS, KEYS), min_size=1, max_size=2))
    each = [{"limit": limit, "key": key, "scope": None} for limit, key in limits]
    forms: list[object] = [each, {"fn": each[:1], "step": each[1:]}]
    if len(limits) == 1:
        forms += [each[0]] if limits[0][1] else [each[0], limits[0][0]]
    return "concurrency", draw(st.sampled_from(forms)), "concurrency", [Concurrency(*limit) for limit in limits]


@st.composite
def cancels(draw: st.DrawFn) -> Option:
    timeout = draw(st.none() | DURATIONS)
    said_ = {"event": "app/gone", "if": "async.data.id == event.data.id", "timeout": timeout and said(timeout)}
    ours = Cancel("app/gone", "async.data.id == event.data.id", timeout=long(timeout) if timeout else None)
    return "cancel", [said_], "cancel_on", [ours]


@st.composite
def timeouts(draw: st.DrawFn) -> Option:
    start, finish = draw(DURATIONS), draw(st.none() | DURATIONS)
    said_ = {"start": said(start), "finish": finish and said(finish)}
    return "timeouts", said_, "timeouts", Timeouts(long(start), long(finish) if finish else None)


@st.composite
def batches(draw: st.DrawFn) -> Option:
    size, timeout, key = draw(LIMITS), draw(DURATIONS), draw(KEYS)
    said_ = {"maxSize": size, "timeout": said(timeout), "key": key, "if": "event.data.a == 1"}
    return "batchEvents", said_, "batch_events", Batch(size, long(timeout), key, "event.data.a == 1")


def plain(name: str, ours: str, said_: object, value: Any) -> st.SearchStrategy[Option]:
    return st.just((name, said_, ours, value))


OPTIONS = st.lists(
    st.one_of(
        throttles(),
        debounces(),
        concurrencies(),
        cancels(),
        timeouts(),
        rate_limits(),
        plain("priority", "priority", {"run": "event.data.a"}, "event.data.a"),
        plain("singleton", "singleton", {"mode": "cancel", "key": "event.data.a"}, Singleton("cancel", "event.data.a")),
    ),
    max_size=4,
    unique_by=lambda option: option[0],
)

TRIGGERS: list[tuple[dict[str, object], Trigger]] = [
    ({"event": "app/a", "expression": None}, EventTrigger("app/a")),
    (
        {"event": "db/users.inserted", "expression": "event.data.new.a > 1"},
        EventTrigger("db/users.inserted", "event.data.new.a > 1"),
    ),
    ({"event": "app/*"}, EventTrigger("app/*")),
    ({"cron": "TZ=Europe/Berlin 0 9 * * 1-5", "jitter": "5s"}, Cron("0 9 * * 1-5", "Europe/Berlin")),
    ({"cron": "@daily"}, Cron("0 0 * * *")),
]


async def handler(ctx: Context) -> None: ...


@given(
    options=OPTIONS, triggers=st.lists(st.sampled_from(TRIGGERS), min_size=1, max_size=5), retries=st.integers(0, 20)
)
@settings(max_examples=60)
def test_a_config_is_stored_as_the_same_function_written_here(
    options: list[Option], triggers: list[tuple[dict[str, object], Trigger]], retries: int
) -> None:
    config = {
        "id": "shop-bill",
        "name": "Bill",
        "triggers": [said_ for said_, _ in triggers],
        "steps": {"step": {"id": "step", "runtime": {"type": "http", "url": "x"}, "retries": {"attempts": retries}}},
        "checkpoint": {"batch_steps": 3},
        **{name: said_ for name, said_, _, _ in options},
    }
    ours: dict[str, Any] = {name: value for _, _, name, value in options}
    made = function("shop-bill", on=[ours_ for _, ours_ in triggers], name="Bill", retries=retries, **ours)(handler)
    assert definition(config, "shop") == {**made.definition(), "app": "shop"}


@given(option=batches())
@settings(max_examples=20)
def test_a_batch_is_stored_as_the_same_batch_written_here(option: Option) -> None:
    name, said_, _, batch = option
    stored = definition({"id": "f", "triggers": [], name: said_}, "shop")
    assert stored["flow"] == {"batch_events": batch.to_json()}


def test_what_is_left_out_is_what_sdks_mean_by_that() -> None:
    bare = definition(
        {"id": "f", "triggers": [], "cancel": [], "concurrency": [], "throttle": None, "batch": 7}, "shop"
    )
    assert bare == {"id": "f", "name": "f", "triggers": [], "retries": 4, "flow": {}, "app": "shop"}
    many = {
        "id": "f",
        "steps": {"step": {"retries": {"attempts": 99}}},
        "concurrency": {"limit": 0},
        "debounce": {"period": 1500},
    }
    stored = definition(many, "shop")
    assert stored["retries"] == 20
    assert stored["flow"] == {"debounce": {"period": 1.5, "key": None, "timeout": None}}
    assert Registry.of(1, [bare, stored], frozenset()).started_by("app/a") == ()


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"throttle": {"limit": 1, "period": "soon"}}, "'f', throttle: period must be a duration"),
        ({"throttle": {"limit": 1.5, "period": "1m"}}, "'f', throttle: limit must be a whole number"),
        ({"throttle": {"period": "1m"}}, "'f', throttle: it needs a limit"),
        ({"rateLimit": {"limit": 1, "period": "1ns"}}, "'f', rateLimit: period must be 1 to"),
        ({"concurrency": [1, 2, 3]}, "'f', concurrency: one or two limits"),
        ({"concurrency": {"limit": 1, "scope": "env"}}, "'f', concurrency: scope env needs a key"),
        ({"priority": {"run": "this is no CEL"}}, "'f', priority: 'this is no CEL'"),
        ({"cancel": [{"event": "app/*"}]}, "'f', cancel: 'app/\\*' is a pattern"),
        ({"batchEvents": {"maxSize": 2}, "debounce": {"period": "1s"}}, "batch_events and debounce cannot be"),
        ({"triggers": [{"cron": "now"}]}, "'f', triggers: 'now' is no schedule"),
        ({"triggers": [{"event": "db/users"}]}, "'f', triggers: 'db/users' is not a row event"),
        ({"steps": {"step": {"retries": {"attempts": -1}}}}, "'f', retries"),
        ({"singleton": {"mode": "maybe"}}, "'f', singleton: mode must be"),
    ],
)
def test_what_cannot_be_used_is_said_with_function_and_option(option: dict[str, Any], says: str) -> None:
    with pytest.raises(Unusable, match=says):
        definitions([{"id": "f", **option}], "shop")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(("1h", "event.data.a")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=6) | st.sampled_from(("limit", "key", "event")), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = (
    "id",
    "name",
    "triggers",
    "steps",
    "cancel",
    "concurrency",
    "throttle",
    "rate_limit",
    "debounce",
    "batchEvents",
    "priority",
    "singleton",
    "idempotency",
    "timeouts",
)
CONFIGS = st.dictionaries(st.sampled_from(NAMES), JSON).map(lambda config: {"id": "f", **config})


@given(
    body=JSON
    | st.fixed_dictionaries(
        {
            "appName": st.just("shop") | JSON,
            "url": st.just("http://localhost/x") | JSON,
            "functions": st.lists(CONFIGS, max_size=3) | JSON,
        }
    )
)
@settings(max_examples=300)
def test_whatever_is_sent_is_taken_or_refused_with_the_one_error(body: object) -> None:
    with suppress(Unusable):
        Registry.of(1, told(body).definitions, frozenset())


def test_what_is_nested_without_end_is_refused() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(Unusable, match="nested"):
        definition({"id": "f", "concurrency": deep}, "shop")
