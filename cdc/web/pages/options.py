"""A function's triggers and options in words, from its definition in the registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from cdc.web.pages.wording import duration

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Told(NamedTuple):
    """An option: its name, and what it says; `code` is an expression or a pattern that belongs to it."""

    name: str
    says: str
    code: str = ""


def trigger(stored: Mapping[str, Any]) -> Told:
    """What starts a function."""
    if "cron" in stored:
        zone = "" if stored.get("timezone", "UTC") == "UTC" else f" ({stored['timezone']})"
        return Told("cron", f"{schedule(stored['cron'])}{zone}", stored["cron"])
    if "event" in stored:
        columns = f"changes {' or '.join(stored['columns'])}" if stored.get("columns") else ""
        when = f"where {stored['if_exp']}" if stored.get("if_exp") else ""
        return Told("event", ", ".join(filter(None, (columns, when))), stored["event"])
    return Told("embeddings", "rows of tables that are embedded")


def schedule(cron: str) -> str:
    """A cron schedule in words where they are short; else itself."""
    minute, hour, day, month, weekday = cron.split(" ")
    if month != "*" or (day != "*" and weekday != "*"):
        return cron
    if (step := re.fullmatch(r"\*(?:/(\d+))?", minute)) and hour == day == weekday == "*":
        return f"every {step[1]} minutes" if step[1] else "every minute"
    if not minute.isdigit():
        return cron
    if hour == day == weekday == "*":
        return f"every hour at :{int(minute):02}"
    if (step := re.fullmatch(r"\*/(\d+)", hour)) and day == weekday == "*":
        return f"every {step[1]} hours at :{int(minute):02}"
    if not hour.isdigit():
        return cron
    at = f"at {int(hour):02}:{int(minute):02}"
    if day.isdigit():
        return f"{at} on day {day} of each month"
    return {"*": f"every day {at}", "1-5": f"Monday to Friday {at}"}.get(weekday) or (
        f"every {_WEEKDAYS[int(weekday)]} {at}" if re.fullmatch("[0-7]", weekday) else cron
    )


def options(definition: Mapping[str, Any]) -> list[Told]:
    """Retries and flow control."""
    retries = definition["retries"]
    tries = f"{retries} after the first attempt" if retries else "none: the first attempt is the last"
    found = [Told("Retries", tries)]
    for name, stored in definition.get("flow", {}).items():
        say = _SAYS.get(name)
        every = stored if isinstance(stored, list) else [stored]
        found.extend(Told(_named(name), *(say(each) if say else (str(each),))) for each in every)
    return found


def _concurrency(stored: Mapping[str, Any]) -> tuple[str, ...]:
    shared = {"fn": "", "env": ", shared with other functions", "account": ", shared with other functions"}
    return f"{stored['limit']} at once{shared[stored['scope']]}{_each(stored)}", stored["key"] or ""


def _throttle(stored: Mapping[str, Any]) -> tuple[str, ...]:
    burst = f", {stored['burst']} of them at once" if stored["burst"] > 1 else ""
    return f"{stored['limit']} starts in {_time(stored['period'])}{burst}{_each(stored)}", stored["key"] or ""


def _rate_limit(stored: Mapping[str, Any]) -> tuple[str, ...]:
    return f"{stored['limit']} starts in {_time(stored['period'])}, more are refused{_each(stored)}", stored[
        "key"
    ] or ""


def _debounce(stored: Mapping[str, Any]) -> tuple[str, ...]:
    latest = f", at the latest after {_time(stored['timeout'])}" if stored["timeout"] else ""
    return f"after {_time(stored['period'])} without another event{latest}{_each(stored)}", stored["key"] or ""


def _batch(stored: Mapping[str, Any]) -> tuple[str, ...]:
    waits = f", waiting up to {_time(stored['timeout'])} for them" if stored["timeout"] else ""
    unless = f"; alone unless {stored['if_exp']}" if stored["if_exp"] else ""
    return f"up to {stored['max_size']} events in a run{waits}{unless}{_each(stored)}", stored["key"] or ""


def _singleton(stored: Mapping[str, Any]) -> tuple[str, ...]:
    then = {"skip": "a new event is skipped meanwhile", "cancel": "a new event cancels the run"}[stored["mode"]]
    return f"one run at a time, {then}{_each(stored)}", stored["key"] or ""


def _cancel(stored: Mapping[str, Any]) -> tuple[str, ...]:
    until = f" within {_time(stored['timeout'])}" if stored["timeout"] else ""
    return f"{stored['event']}{until}{' where' if stored['if_exp'] else ''}", stored["if_exp"] or ""


def _timeouts(stored: Mapping[str, Any]) -> tuple[str, ...]:
    return (", ".join(_parts(stored)),)


def _parts(stored: Mapping[str, Any]) -> Iterator[str]:
    for name, words in (("start", "to start"), ("finish", "to finish")):
        if stored[name] is not None:
            yield f"{_time(stored[name])} {words}"


def _key(stored: str) -> tuple[str, ...]:
    return "by", stored


_SAYS: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "concurrency": _concurrency,
    "order_by": _key,
    "throttle": _throttle,
    "rate_limit": _rate_limit,
    "debounce": _debounce,
    "batch_events": _batch,
    "priority": _key,
    "singleton": _singleton,
    "idempotency": _key,
    "cancel_on": _cancel,
    "timeouts": _timeouts,
}


def _named(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _each(stored: Mapping[str, Any]) -> str:
    return ", for each" if stored["key"] else ""


def _time(seconds: float) -> str:
    return re.sub(r" 0[a-z]$", "", duration(seconds))
