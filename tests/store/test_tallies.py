"""What was counted and measured is kept by the minute; plots and tables say no more and no less than that."""

from __future__ import annotations

import asyncio
import time

import pytest

from cdc.store import gauges, summaries, tallied, tallies
from cdc.store.connect import Connection
from cdc.store.plots import Plot, Span, window
from cdc.tallies import DOLLAR, Count, Tallies
from tests.servers import Connect
from tests.waiting import eventually

NOW = (int(time.time()) // 86400) * 86400 + 43_230.0
"""Noon, and half a minute."""
MINUTE = int(NOW) // 60 * 60


@pytest.fixture
async def conn(connect: Connect, migrated_url: str) -> Connection:
    return await connect(migrated_url)


def counted(what: str, name: str, count: int = 1, took: float | None = None) -> Count:
    book = Tallies()
    for _ in range(count if took is not None else 0):
        book.time(what, name, took or 0.0)
    if took is None:
        book.add(what, name, count)
    return book.counts()[0]


def lines(plot: Plot) -> dict[str, list[float | None]]:
    assert all(len(each.values) == len(plot.times) for each in plot.lines)
    return {each.name: each.values for each in plot.lines}


async def test_services_that_count_at_the_same_time_add_up(
    conn: Connection, connect: Connect, migrated_url: str
) -> None:
    names = [f"f{number}" for number in range(30)]
    each = [(MINUTE, counted("completed", name, 2, took=0.2)) for name in names]

    async def service(number: int) -> None:
        own = await connect(migrated_url)
        for _ in range(5):
            await tallied.add(own, each if number % 2 else list(reversed(each)))

    await asyncio.gather(*(service(number) for number in range(4)))
    figures = await tallies.functions(conn, window("1h", NOW))
    assert [(one.function, one.completed) for one in figures] == [(name, 40) for name in sorted(names)]
    assert all(0.1 < (one.took_p50 or 0) <= 0.25 for one in figures)
    assert (await tallies.totals(conn, window("24h", NOW)))["completed"] == 40 * len(names)


@pytest.mark.parametrize("span", ["1h", "24h", "7d", "31d"])
async def test_every_window_has_a_bounded_number_of_steps_that_hold_what_was_counted(
    conn: Connection, span: Span
) -> None:
    await tallied.add(conn, [(MINUTE - 120, counted("started", "f", 7, took=0.0)), (MINUTE, counted("failed", "f"))])
    found = await tallies.runs(conn, window(span, NOW))
    assert len(found.times) <= 300
    assert found.times[-1] <= NOW < found.times[-1] + found.step
    assert {name: sum(filter(None, values)) for name, values in lines(found).items()} == {
        "started": 7,
        "completed": 0,
        "failed": 1,
        "cancelled": 0,
    }
    assert lines(found)["failed"][-1] == 1


async def test_events_are_told_by_the_most_frequent_names_and_the_rest(conn: Connection) -> None:
    counts = [counted("event", f"sent/{number}", 60 * (number + 1)) for number in range(7)]
    await tallied.add(conn, [(MINUTE - 60, each) for each in counts])
    await tallied.add(conn, [(MINUTE, counted("event", "sent/6", 60))])
    found = lines(await tallies.events(conn, window("1h", NOW)))
    assert list(found) == ["all", "sent/6", "sent/5", "sent/4", "sent/3", "sent/2", "other"]
    assert [values[-2] for values in found.values()] == [28, 7, 6, 5, 4, 3, 3]
    assert found["all"][-1] == 60 / 30, "half of the minute is over"


async def test_a_function_shows_how_often_it_succeeds_and_how_long_it_takes(conn: Connection) -> None:
    counts = [
        counted("started", "f", 4, took=0.04),
        counted("completed", "f", 3, took=0.2),
        counted("failed", "f", 1, took=20.0),
        counted("retried", "f", 9),
        counted("completed", "g", 1, took=3.0),
    ]
    await tallied.add(conn, [(MINUTE - 60, each) for each in counts])
    plots = await tallies.function(conn, window("1h", NOW), "f")
    assert lines(plots.success)["success"][-2:] == [0.75, None]
    (p50, p95) = (lines(plots.took)[name][-2] or 0 for name in ("p50", "p95"))
    assert 0.1 < p50 <= 0.25
    assert 15 < p95 <= 60
    assert 0.025 < (lines(plots.waited)["p50"][-2] or 0) <= 0.05
    (f, g) = await tallies.functions(conn, window("24h", NOW))
    assert (f.function, f.started, f.completed, f.failed, f.retried, f.success) == ("f", 4, 3, 1, 9, 0.75)
    assert (g.function, g.success, g.waited_p50) == ("g", 1.0, None)


async def test_what_models_cost_is_told_by_day_by_model_and_by_function(conn: Connection) -> None:
    yesterday = MINUTE - 86400
    for at, dollars in ((yesterday, 2), (MINUTE, 3)):
        counts = [
            counted("call", "openai/small", 10, took=0.3),
            counted("call_failed", "openai/small", 2, took=0.3),
            counted("input_tokens", "openai/small", 1000),
            counted("cost", "openai/small", dollars * DOLLAR),
            counted("function_calls", "digest", 12),
            counted("function_cost", "digest", dollars * DOLLAR),
        ]
        await tallied.add(conn, [(at, each) for each in counts])
    for by in ("model", "function"):
        found = lines(await tallies.costs(conn, window("31d", NOW), by=by))
        assert [values[-2:] for values in found.values()] == [[2, 3], [2, 3]]
    (model,) = await tallies.models(conn, window("7d", NOW))
    assert (model.model, model.calls, model.failed, model.input_tokens, model.cost) == ("openai/small", 24, 4, 2000, 5)
    (asker,) = await tallies.askers(conn, window("7d", NOW))
    assert (asker.function, asker.calls, asker.cost) == ("digest", 24, 5)


async def test_replicas_measure_one_value_and_plots_show_the_greatest(conn: Connection) -> None:
    async def in_one_minute() -> bool:
        minute = await (await conn.execute("select date_trunc('minute', now())")).fetchone()
        await conn.execute("delete from cdc_state.gauges")
        for value in (7.0, 3.0):
            await gauges.keep(conn, [gauges.Value("lag_bytes", "default", value), gauges.Value("queue_age", "", value)])
        return minute == await (await conn.execute("select date_trunc('minute', now())")).fetchone()

    await eventually(in_one_minute)
    measured = {(each.what, each.name): each.value for each in await gauges.latest(conn)}
    assert measured == {("lag_bytes", "default"): 3.0, ("queue_age", ""): 3.0}
    shown: dict[Span, float] = {"1h": 3.0, "7d": 7.0}
    for span, value in shown.items():
        found = lines((await summaries.measured(conn, window(span), ["lag_bytes"]))["lag_bytes"])
        assert [each for each in found["default"] if each is not None] == [value], "of an hour the greatest"


async def test_minutes_are_pruned_before_hours(conn: Connection) -> None:
    day = 86400
    await tallied.add(conn, [(MINUTE - days * day, counted("event", "e")) for days in (1, 5, 40)])
    await conn.execute(
        "insert into cdc_state.gauges select width, 'gaps', '', now() - days * interval '1 day', 0"
        " from unnest(array[60, 3600]) width, unnest(array[1, 5, 40]) days"
    )
    while await tallied.prune(conn, 3, minutes=2 * day, hours=31 * day):
        pass
    rows = await (await conn.execute("select width, count(*) from cdc_state.tallies group by 1 order by 1")).fetchall()
    assert rows == [(60, 2), (3600, 4)], "each is kept by name and of all"
    assert await gauges.prune(conn, 10, minutes=2 * day, hours=31 * day) == 3
