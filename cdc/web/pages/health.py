"""Whether the service is well, in a sentence; and if not, what is wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cdc.store.gaps import Gap
from cdc.store.gauges import Measured
from cdc.web.pages.wording import duration, number, percent, size
from cdc.web.status import Status, Statuses

State = Literal["good", "warn", "bad"]

_LATE = 60.0
"""Seconds after which what waits is late."""

_LARGE = 1e9
"""Bytes of WAL that a server should not have to keep for long."""

_RECENT = timedelta(days=1)
"""For so long after it a gap is told of."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: what, what to do, and the page that shows more."""

    state: State
    says: str
    advice: str = ""
    href: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known: the values measured last, gaps, `events` per second, and how runs ended in the last hour."""

    measured: Sequence[Measured]
    gaps: Sequence[Gap]
    events: float
    failed: int
    ended: int

    def of(self, what: str) -> dict[str, float]:
        """The last values of one kind, by name."""
        return {each.name: each.value for each in self.measured if each.what == what}


@dataclass(frozen=True, slots=True)
class Health:
    """What it does, in a sentence, and what is not as it should be, worst first."""

    state: State
    does: str
    findings: list[Finding]


def health(statuses: Statuses, figures: Figures) -> Health:
    """How the service is."""
    order = {"bad": 0, "warn": 1, "good": 2}
    findings = sorted(
        (*_of_sources(statuses), *_of_slots(figures), *_of_gaps(figures), *_of_work(statuses, figures)),
        key=lambda each: order[each.state],
    )
    does = f"{_does(statuses)}; {number(figures.events)} events/s"
    if not findings:
        return Health("good", f"{does}; nothing is late.", [])
    return Health(findings[0].state, f"{does}.", findings)


def _does(statuses: Statuses) -> str:
    every = [statuses.home] if statuses.home else []
    listening = [each.source for each in (*every, *statuses.others.values()) if each.listening]
    if listening:
        return f"Listening to {' and '.join(listening)}"
    return (
        "Working on runs"
        if statuses.home is None
        else f"Standing by: another replica listens to {statuses.home.source}"
    )


def _of_sources(statuses: Statuses) -> Iterator[Finding]:
    for each in (*([statuses.home] if statuses.home else []), *statuses.others.values()):
        if each.problem is not None:
            says = f"{each.source} is not watched: {each.problem}"
            yield Finding(
                "bad", says, "Its changes wait in the slot until it is mended.", "/replication", "Replication"
            )
        elif not each.listening and not each.attached:
            yield Finding(
                "warn", f"{each.source} is not listened to yet", "The service is starting, or cannot reach it."
            )
        yield from _of_tables(each)


def _of_tables(status: Status) -> Iterator[Finding]:
    if status.unpublished:
        first, why = next(iter(status.unpublished.items()))
        more = f", and {len(status.unpublished) - 1} more" if len(status.unpublished) > 1 else ""
        says = f"{first} of {status.source} is not watched{more}: {why}"
        yield Finding("warn", says, "Functions that name it are not started.", "/replication", "Replication")


def _of_slots(figures: Figures) -> Iterator[Finding]:
    for source, lost in figures.of("slot_lost").items():
        if lost:
            says = f"The server of {source} has invalidated the slot: changes since then are lost"
            advice = "CDC_ON_SLOT_LOSS=recreate makes a new one; then run cdc backfill for the tables that need them."
            yield Finding("bad", says, advice, "/replication", "Replication")
    for source, behind in figures.of("lag_seconds").items():
        if behind > _LATE:
            says = f"{source} is {duration(int(behind))} behind"
            advice = "Changes come faster than they are accepted, or one large transaction is on its way."
            yield Finding("warn", says, advice, "/replication", "Replication")
    for source, kept in figures.of("retained_bytes").items():
        if kept > _LARGE:
            says = f"The server of {source} keeps {size(kept)} of WAL for the slot"
            advice = "Watch its disk; max_slot_wal_keep_size bounds it."
            yield Finding("warn", says, advice, "/replication", "Replication")


def _of_gaps(figures: Figures) -> Iterator[Finding]:
    for gap in figures.gaps:
        since = f"{gap.from_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        if gap.to_at is None:
            says = f"Changes of {gap.source} since {since} are lost: {gap.reason}"
            yield Finding("bad", says, "When it is watched again, run cdc backfill for the tables that need them.")
        elif gap.to_at > datetime.now(UTC) - _RECENT:
            says = f"Changes of {gap.source} from {since} to {gap.to_at.astimezone(UTC):%H:%M} were lost: {gap.reason}"
            yield Finding(
                "warn", says, "Run cdc backfill for the tables that need them.", "/replication", "Replication"
            )


def _of_work(statuses: Statuses, figures: Figures) -> Iterator[Finding]:
    if not statuses.working:
        yield Finding("bad", "No worker is up: runs wait", "The log of the service says why they ended.")
    waits = figures.of("queue_age").get("", 0.0)
    if waits > _LATE:
        says = f"A run has been due for {duration(int(waits))} without a worker that takes it"
        yield Finding("warn", says, "Start more with CDC_WORKERS, or see what runs.", "/runs?status=running", "Runs")
    if figures.failed:
        share = percent(figures.failed / max(1, figures.ended))
        runs = "1 run" if figures.failed == 1 else f"{number(figures.failed)} runs"
        says = f"{runs} failed in the last hour, {share} of those that ended"
        yield Finding("warn", says, "See why, then replay them.", "/runs?status=failed", "Failed runs")
