from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.authoring.cron import Cron

BERLIN = ZoneInfo("Europe/Berlin")
SCHEDULES = ["* * * * *", "*/15 * * * *", "30 2 * * *", "0,30 2,3 * * *", "0 9 * * 1-5", "15 */6 1 * *", "59 23 L * *"]

moments = st.datetimes(datetime(2001, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))
schedules = st.sampled_from(SCHEDULES)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ticks(cron: Cron, moment: datetime, number: int) -> list[str]:
    found = []
    for _ in range(number):
        moment = cron.after(moment)
        found.append(f"{moment:%d %H:%M}")
    return found


@settings(deadline=None)
@given(schedules, zones, moments)
def test_a_tick_is_a_whole_minute_in_utc_after_the_moment(schedule: str, zone: str, moment: datetime) -> None:
    tick = Cron(schedule, zone).after(moment)
    assert tick > moment
    assert tick.tzinfo is UTC
    assert (tick.second, tick.microsecond) == (0, 0)


@settings(deadline=None)
@given(schedules, zones, moments, st.floats(0, 1))
def test_no_tick_lies_between_a_moment_and_its_tick(schedule: str, zone: str, moment: datetime, part: float) -> None:
    cron = Cron(schedule, zone)
    tick = cron.after(moment)
    between = moment + (tick - moment) * part
    assert cron.after(between) == tick if between < tick else cron.after(between) > tick


@settings(deadline=None)
@given(moments, st.integers(-12, 12))
def test_the_zone_of_the_moment_does_not_matter(moment: datetime, hours: int) -> None:
    cron = Cron("0 9 * * 1-5", "Europe/Berlin")
    assert cron.after(moment.astimezone(timezone(timedelta(hours=hours)))) == cron.after(moment)


def test_a_tick_is_not_after_itself() -> None:
    cron = Cron("0 9 * * *")
    assert cron.after(at("2026-01-01 09:00")) == at("2026-01-02 09:00")
    assert cron.after(at("2026-01-01 08:59:59.999999")) == at("2026-01-01 09:00")
    assert cron.after(at("2026-01-01 09:00:00.000001")) == at("2026-01-02 09:00")


def test_the_clock_is_that_of_the_time_zone() -> None:
    cron = Cron("0 9 * * 1-5", "Europe/Berlin")
    assert cron.after(at("2026-01-02 12:00")) == at("2026-01-05 08:00")
    assert cron.after(at("2026-07-01 00:00")) == at("2026-07-01 07:00")


def test_a_skipped_time_ticks_at_the_end_of_the_gap() -> None:
    assert ticks(Cron("30 2 * * *", "Europe/Berlin"), at("2026-03-28 00:00"), 3) == ["28 01:30", "29 01:00", "30 00:30"]
    assert ticks(Cron("0,30 2 * * *", "Europe/Berlin"), at("2026-03-28 23:00"), 2) == ["29 01:00", "30 00:00"]


def test_a_repeated_time_ticks_once() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")
    assert ticks(cron, at("2026-10-24 12:00"), 2) == ["25 00:30", "26 01:30"]
    for second_pass in ("2026-10-25 01:00", "2026-10-25 01:29", "2026-10-25 01:30", "2026-10-25 01:45"):
        assert datetime.fromisoformat(second_pass).replace(tzinfo=UTC).astimezone(BERLIN).fold == 1
        assert cron.after(at(second_pass)) == at("2026-10-26 01:30")


def test_a_schedule_for_all_hours_goes_by_elapsed_time() -> None:
    cron = Cron("*/30 * * * *", "Europe/Berlin")
    assert ticks(cron, at("2026-10-24 23:59"), 4) == ["25 00:00", "25 00:30", "25 01:00", "25 01:30"]
    assert ticks(cron, at("2026-03-29 00:15"), 2) == ["29 00:30", "29 01:00"]


def test_the_time_zone_may_stand_in_the_schedule() -> None:
    cron = Cron("TZ=Europe/Berlin  0 9  * * *")
    assert cron == Cron("0 9 * * *", "Europe/Berlin") == Cron("TZ=Europe/Berlin 0 9 * * *", "Europe/Berlin")
    assert hash(cron) == hash(Cron("0 9 * * *", "Europe/Berlin"))


@pytest.mark.parametrize(
    ("schedule", "timezone", "complaint"),
    [
        ("", "UTC", "five fields"),
        ("TZ=Europe/Berlin", "UTC", "five fields"),
        ("* * * *", "UTC", "five fields"),
        ("* * * * * *", "UTC", "five fields"),
        ("@daily", "UTC", "five fields"),
        ("61 * * * *", "UTC", "bad minute"),
        ("* * 0 * *", "UTC", "bad day-of-month"),
        ("* * * * 8", "UTC", "bad day-of-week"),
        ("0 0 31 2 *", "UTC", "never comes"),
        ("0 0 31 4,6,9,11 *", "UTC", "never comes"),
        ("* * * * *", "Mars/Phobos", "no time zone"),
        ("* * * * *", "", "no time zone"),
        ("* * * * *", "../etc/passwd", "no time zone"),
        ("TZ=Mars/Phobos * * * * *", "UTC", "no time zone"),
        ("TZ=Europe/Berlin * * * * *", "Europe/Paris", "another time zone"),
    ],
)
def test_a_trigger_that_cannot_be_meant_is_refused(schedule: str, timezone: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Cron(schedule, timezone)


def test_a_rare_day_comes() -> None:
    assert Cron("0 0 29 2 *").after(at("2096-03-01")) == at("2104-02-29")


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        Cron("* * * * *").after(datetime(2026, 1, 1))
