"""The body of `POST /e/{key}`, which Inngest's SDKs send, read into events. Pure."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

import orjson

from cdc.authoring.triggers import is_taken
from cdc.events import ids
from cdc.events.given import EARLIEST, given_by_sender, traceparent_of
from cdc.events.intake import new_id
from cdc.store.events import Extra, Incoming
from cdc.store.json import encoded
from cdc.web.guard.limits import MOST_DEPTH, too_deep

MOST_EVENTS = 5000
MOST_BYTES = 3 * 1024 * 1024
"""Of one event's data."""

MOST_VALUES = 3_000_000
"""In a body: the smallest take fifty times as much memory as they have bytes."""

_DIGITS = bytes(ord("0") if chr(byte).isdecimal() and byte < 128 else ord(" ") for byte in range(256))
_LONG = b"0" * 19
"""Digits of what may be an integer beyond 64 bits, which orjson would read as a float."""

_NOTHING = (None, "")

_LONGEST_NAME = 255


class Unusable(ValueError):
    """An event cannot be accepted; says why."""


class Read(NamedTuple):
    """The events up to the first that cannot be accepted, and what is wrong with that one."""

    events: list[Incoming]
    error: str | None


def read(body: bytes | bytearray, seed: str | None, traceparent: str | None = None) -> Read:
    """The events of a request. With a seed their ids are the same whenever the same request comes again.

    `traceparent` is the trace of the request, to which its events belong unless they name another one.
    """
    if len(body) > MOST_VALUES and sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        return Read([], f"a request has at most {MOST_VALUES} values")
    try:
        items = _parsed(body)
    except (ValueError, RecursionError):
        return Read([], "the body is not JSON")
    items = items if isinstance(items, list) else [items]
    if len(items) > MOST_EVENTS:
        return Read([], f"a request has at most {MOST_EVENTS} events, this one has {len(items)}")
    found: list[Incoming] = []
    trace, now = traceparent_of(traceparent), time.time_ns() // 1000
    for index, item in enumerate(items):
        try:
            found.append(_event(item, ids.of_request(seed, index) if seed else new_id(), now, trace))
        except (ValueError, RecursionError) as unusable:
            return Read(found, str(unusable) or "the event is nested too deeply")
    return Read(found, None)


def _event(item: object, id_: bytes, now: int, trace: str | None) -> Incoming:
    if not isinstance(item, dict):
        raise Unusable("an event is an object with a name and data")
    given = item.get
    name = given("name")
    if not isinstance(name, str) or not name:
        raise Unusable("event name is empty")
    extra, ts = _extra(given("id"), given("ts"), given("user"), given("v"), now)
    if own := given("traceparent"):
        trace = traceparent_of(own) or trace
    return Incoming(id_, _name(name), now if ts is None else ts, _data(given("data")), None, extra, None, trace)


def _extra(id: object, ts: object, user: object, v: object, now: int) -> tuple[Extra | None, int | None]:
    """What only some events have, and the event's own time. SDKs give every event the time it was sent at, and mostly
    nothing else.
    """
    if id in _NOTHING and v in _NOTHING and user is None and type(ts) is int and EARLIEST <= ts <= now // 1000:
        return None, ts * 1000
    extra, time_ = given_by_sender(id, None if ts == 0 and ts is not False else ts, user, v)  # SDKs may send 0 for none
    if extra is not None and time_ is not None and time_ <= now:
        extra = extra._replace(scheduled=False)
        extra = extra if any(extra[:3]) else None
    if extra is not None and extra.user is not None and too_deep(extra.user):
        raise Unusable(f"user has more than {MOST_DEPTH} lists and objects within each other")
    return extra, time_


@lru_cache(maxsize=1024)
def _name(name: str) -> str:
    if is_taken(name):
        raise Unusable(f"event name is reserved: {name}")
    if len(name) > _LONGEST_NAME or not name.isprintable() or name != name.strip() or "*" in name:
        raise Unusable("event name is not usable")
    return name


def _data(data: object) -> bytes:
    if data is None:
        return b"{}"
    if not isinstance(data, dict):
        raise Unusable("event data is not an object")
    data.pop("_inngest", None)
    written = encoded(data)
    if len(written) > MOST_BYTES:
        raise Unusable(f"event data has more than {MOST_BYTES} bytes")
    if too_deep(written):
        raise Unusable(f"event data has more than {MOST_DEPTH} lists and objects within each other")
    return written


def _parsed(body: bytes | bytearray) -> Any:
    if _LONG not in body.translate(_DIGITS):
        return orjson.loads(body)
    return json.loads(body, parse_constant=_no_number)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def answer(accepted: list[str], error: str | None, status: int = 400) -> Mapping[str, object]:
    """The answer, as SDKs read it; `status` is that of an error."""
    return {"ids": accepted, "status": 200} if error is None else {"ids": accepted, "status": status, "error": error}
