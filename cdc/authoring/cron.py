"""Runs that start by the clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

PREFIX = "TZ="


@dataclass(frozen=True, slots=True)
class Cron:
    """Starts a run at each tick of a schedule: minute, hour, day of the month, month, day of the week.

    The clock is that of `timezone`, which may also stand in front of the schedule: `TZ=Europe/Berlin 0 9 * * 1-5`.
    When clocks go forward, a time that is skipped ticks at the end of the gap: 02:30 at 03:00. When they go
    back, a time that comes twice ticks the first time only. A schedule with `*` for its minutes or its hours goes by
    elapsed time instead: it ticks in both passes of a repeated hour, and not in a skipped one.
    """

    schedule: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if self.schedule.startswith(PREFIX):
            zone, _, schedule = self.schedule.removeprefix(PREFIX).partition(" ")
            if self.timezone not in ("UTC", zone):
                raise ValueError(f"{self.schedule!r} names another time zone than timezone={self.timezone!r}; keep one")
            object.__setattr__(self, "timezone", zone)
            object.__setattr__(self, "schedule", schedule)
        object.__setattr__(self, "schedule", " ".join(self.schedule.split()))
        _zone(self.timezone)
        if len(self.schedule.split(" ")) != 5:
            raise ValueError(f"{self.schedule!r} is no schedule: write five fields, as 0 9 * * 1-5")
        self.after(datetime(2000, 1, 1, tzinfo=UTC))

    def __str__(self) -> str:
        return self.schedule if self.timezone == "UTC" else f"{PREFIX}{self.timezone} {self.schedule}"

    def after(self, moment: datetime) -> datetime:
        """The first tick strictly after a moment, in UTC.

        Raises:
            ValueError: the moment has no time zone, or the schedule is bad or never comes.
        """
        if moment.tzinfo is None:
            raise ValueError(f"{moment} has no time zone: give an aware datetime")
        # In local time, the second pass of a repeated hour lies behind the first tick: go on from there until past it.
        start = moment.astimezone(_zone(self.timezone))
        try:
            for tick in CronSim(self.schedule, start):
                if tick.astimezone(UTC) > moment:
                    return tick.astimezone(UTC)
        except CronSimError as error:
            reason = str(error).lower()
            if not _is_readable(self.schedule):
                raise ValueError(f"{self.schedule!r} is no schedule: {reason}") from None
        raise ValueError(f"{self.schedule!r} never comes: no month has such a day")


def _is_readable(schedule: str) -> bool:
    """Whether the fields are good each by itself."""
    minute, hour, day, _, weekday = schedule.split(" ")
    try:
        CronSim(f"{minute} {hour} {day} * {weekday}", datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    """The time zone of a name.

    Raises:
        ValueError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        raise ValueError(f"{name!r} is no time zone: write one of the IANA names, such as Europe/Berlin") from None
