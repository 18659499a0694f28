"""Whether the service is well, and a function's schedule, as pages say it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cdc.store.gaps import Gap
from cdc.store.gauges import Measured
from cdc.web.pages import options
from cdc.web.pages.health import Figures, Health, health
from cdc.web.status import Status, Statuses


def well(*measured: Measured, gaps: tuple[Gap, ...] = (), failed: int = 0, **status: object) -> Health:
    """Of a service that listens, besides what is said."""
    home = Status("default", "cdc", "cdc", listening=True, attached=True)
    working = bool(status.pop("working", True))
    for name, value in status.items():
        setattr(home, name, value)
    return health(Statuses(home, working=working), Figures(measured, gaps, 12.0, failed, max(failed, 1)))


def test_a_service_that_is_well_says_what_it_does() -> None:
    found = well(Measured("lag_seconds", "default", 0.1, 5.0), Measured("slot_lost", "default", 0.0, 5.0))
    assert found == Health("good", "Listening to default; 12 events/s; nothing is late.", [])
    assert health(Statuses(None), Figures([], [], 0, 0, 0)).does == "Working on runs; 0 events/s; nothing is late."


NOW = datetime.now(UTC)
GAP = Gap("default", "0/1", NOW - timedelta(hours=2), "0/9", NOW - timedelta(hours=1), "the slot was dropped")


@pytest.mark.parametrize(
    ("found", "state", "says"),
    [
        (well(problem="no rights."), "bad", "default is not watched: no rights."),
        (well(listening=False, attached=False), "warn", "default is not listened to yet"),
        (well(unpublished={"public.a": "it has no key", "public.b": "it is a view"}), "warn", "public.a of default"),
        (well(working=False), "bad", "No worker is up"),
        (well(Measured("slot_lost", "default", 1.0, 0)), "bad", "has invalidated the slot"),
        (well(Measured("lag_seconds", "default", 200.0, 0)), "warn", "default is 3m 20s behind"),
        (well(Measured("retained_bytes", "default", 9e9, 0)), "warn", "keeps 9 GB of WAL"),
        (well(Measured("queue_age", "", 90.0, 0)), "warn", "due for 1m 30s"),
        (well(failed=1), "warn", "1 run failed in the last hour, 100 %"),
        (well(gaps=(GAP,)), "warn", "were lost: the slot was dropped"),
        (well(gaps=(GAP._replace(to_lsn=None, to_at=None),)), "bad", "are lost: the slot was dropped"),
    ],
)
def test_what_is_not_as_it_should_be_is_told_with_what_to_do(found: Health, state: str, says: str) -> None:
    (finding,) = found.findings
    assert (found.state, finding.state) == (state, state)
    assert says in finding.says
    assert finding.advice


def test_a_gap_of_long_ago_is_no_longer_told_and_the_worst_comes_first() -> None:
    assert well(gaps=(GAP._replace(to_at=NOW - timedelta(days=2)),)).findings == []
    assert [each.state for each in well(failed=1, working=False).findings] == ["bad", "warn"]


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("7 * * * *", "every hour at :07"),
        ("0 */6 * * *", "every 6 hours at :00"),
        ("30 3 * * *", "every day at 03:30"),
        ("0 9 * * 1-5", "Monday to Friday at 09:00"),
        ("0 9 * * 0", "every Sunday at 09:00"),
        ("0 9 1 * *", "at 09:00 on day 1 of each month"),
        ("0 9 1 * 1", "0 9 1 * 1"),
        ("0 9 * 2 *", "0 9 * 2 *"),
        ("0,30 9 * * *", "0,30 9 * * *"),
        ("0 9-17 * * *", "0 9-17 * * *"),
        ("*/7 9 * * *", "*/7 9 * * *"),
        ("0 9 * * MON", "0 9 * * MON"),
    ],
)
def test_a_schedule_is_told_in_words_where_they_are_short(cron: str, words: str) -> None:
    assert options.schedule(cron) == words
