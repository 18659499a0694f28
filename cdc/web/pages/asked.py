"""What the filters of a page ask for, as they stand in its address: what cannot be used is said, and kept as typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlencode

from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException

from cdc import clock
from cdc.store.choice import STATUSES, Choice
from cdc.store.listing import Which

SPANS = {"": "Any time", "1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "custom": "From … to …"}
"""How far back, as the filters offer it."""

_LONGEST = 500
"""Characters of a field."""

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Time:
    """A span of time: one that is offered, or a custom one."""

    span: str
    since_typed: str
    until_typed: str
    since: datetime | None
    until: datetime | None
    problem: str | None

    @property
    def fields(self) -> list[tuple[str, str]]:
        """As they stand in an address."""
        custom = self.span == "custom"
        typed = [("since", self.since_typed), ("until", self.until_typed)] if custom else []
        return [(name, value) for name, value in [("span", self.span), *typed] if value]

    @property
    def moments(self) -> list[tuple[str, str]]:
        """As the API takes them."""
        moments = (("since", self.since), ("until", self.until))
        return [(name, f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}") for name, moment in moments if moment]

    @property
    def says(self) -> str:
        """In words; empty: any."""
        if self.span != "custom":
            return SPANS[self.span].lower() if self.span else ""
        moments = (("from", self.since), ("to", self.until))
        return " ".join(f"{word} {moment:%Y-%m-%d %H:%M} UTC" for word, moment in moments if moment)


@dataclass(frozen=True, slots=True)
class Runs:
    """Which runs are asked for."""

    function: str
    statuses: Sequence[str]
    time: Time

    @property
    def choice(self) -> Choice:
        """The same for the database."""
        return Choice(
            [self.function] if self.function else None, self.statuses or None, self.time.since, self.time.until
        )

    @property
    def fields(self) -> list[tuple[str, str]]:
        """As they stand in an address."""
        function = [("function", self.function)] if self.function else []
        return [*function, *(("status", status) for status in self.statuses), *self.time.fields]

    @property
    def fixed(self) -> list[tuple[str, str]]:
        """As the fields of a form: those of the last hour stay those of this hour."""
        function = [("function", self.function)] if self.function else []
        time = [("span", "custom"), *self.time.moments] if self.time.moments else []
        return [*function, *(("status", status) for status in self.statuses), *time]

    def with_statuses(self, statuses: Sequence[str]) -> Runs:
        """Those of them that are in one of these states."""
        return replace(self, statuses=statuses)

    @property
    def table(self) -> str:
        """All of them as CSV."""
        function = [("function", self.function)] if self.function else []
        return address(
            "/v1/runs",
            [("format", "csv"), *function, *(("status", each) for each in self.statuses), *self.time.moments],
        )

    @property
    def says(self) -> str:
        """In words."""
        states = " or ".join(self.statuses) or "in any state"
        function = f"of {self.function}" if self.function else "of all functions"
        return ", ".join(part for part in (states, function, self.time.says) if part)

    def address(self, path: str, **more: str | None) -> str:
        """A page of the same runs."""
        return address(path, self.fields, **more)


@dataclass(frozen=True, slots=True)
class Events:
    """Which events are asked for."""

    name: str
    text: str
    time: Time

    @property
    def which(self) -> Which:
        """The same for the database."""
        return Which(self.name or None, self.text or None, self.time.since, self.time.until)

    def address(self, path: str, **more: str | None) -> str:
        """A page of the same events."""
        fields = [(name, value) for name, value in (("name", self.name), ("text", self.text)) if value]
        return address(path, [*fields, *self.time.fields], **more)


def events(given: QueryParams) -> Events:
    """Which events the fields of a page ask for."""
    return Events(text(given, "name"), text(given, "text"), time(given))


def runs(given: QueryParams | FormData) -> Runs:
    """Which runs the fields of a page, or of its form, ask for."""
    statuses = [status for status in STATUSES if status in given.getlist("status")]
    return Runs(text(given, "function"), statuses, time(given))


def time(given: QueryParams | FormData) -> Time:
    """Which time they ask for."""
    span = text(given, "span")
    typed = text(given, "since"), text(given, "until")
    if span != "custom":
        since = clock.past(span) if span and span in SPANS else None
        return Time(span if span in SPANS else "", *typed, since, None, None)
    try:
        since, until = (clock.past(each) if each else None for each in typed)
    except ValueError as unusable:
        return Time(span, *typed, None, None, f"{unusable}")
    return Time(span, *typed, since, until, None)


def cursor(given: QueryParams, read: Callable[[str | None], Key | None]) -> Key | None:
    """Where the page goes on; one that nobody gave begins again."""
    try:
        return read(given.get("cursor"))
    except HTTPException:
        return None


def text(given: Mapping[str, object], name: str) -> str:
    """A field; empty when it is not there, or nobody can have meant it."""
    value = given.get(name)
    usable = isinstance(value, str) and len(value) <= _LONGEST and "\0" not in value
    return value.strip() if usable and isinstance(value, str) else ""


def address(path: str, fields: Sequence[tuple[str, str]], **more: str | None) -> str:
    """A path with these fields, and some more."""
    query = urlencode([*fields, *((name, value) for name, value in more.items() if value)])
    return f"{path}?{query}" if query else path
