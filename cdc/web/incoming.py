"""The body of `POST /e/{key}`, which Inngest's SDKs send, read into events. Pure."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import orjson

from cdc.authoring.triggers import is_taken
from cdc.events import ids
from cdc.events.given import given_by_sender, traceparent_of
from cdc.events.intake import new_id
from cdc.store.events import Incoming
from cdc.store.json import document

MOST_EVENTS = 5000
MOST_BYTES = 3 * 1024 * 1024
"""Of one event's data."""

_LONG = re.compile(rb"\d{19}")
"""Digits of what may be an integer beyond 64 bits, which orjson would read as a float."""

_LONGEST_NAME = 255


class Unusable(ValueError):
    """An event cannot be accepted; says why."""


class Read(NamedTuple):
    """The events up to the first that cannot be accepted, and what is wrong with that one."""

    events: list[Incoming]
    error: str | None


def read(body: bytes, seed: str | None, traceparent: str | None = None) -> Read:
    """The events of a request. With a seed their ids are the same whenever the same request comes again.

    `traceparent` is the trace of the request, to which its events belong unless they name another one.
    """
    try:
        items = _parsed(body)
    except (ValueError, RecursionError):
        return Read([], "the body is not JSON")
    items = items if isinstance(items, list) else [items]
    if len(items) > MOST_EVENTS:
        return Read([], f"a request has at most {MOST_EVENTS} events, this one has {len(items)}")
    found: list[Incoming] = []
    trace = traceparent_of(traceparent)
    for index, item in enumerate(items):
        try:
            found.append(_event(item, _id(seed, index), trace))
        except (ValueError, RecursionError) as unusable:
            return Read(found, str(unusable) or "the event is nested too deeply")
    return Read(found, None)


def _event(item: object, id_: bytes, trace: str | None) -> Incoming:
    if not isinstance(item, dict):
        raise Unusable("an event is an object with a name and data")
    name = _name(item.get("name"))
    extra, ts = given_by_sender(item.get("id"), item.get("ts"), item.get("user"), item.get("v"))
    now = time.time_ns() // 1000
    if extra is not None and ts is not None and ts <= now:
        extra = extra._replace(scheduled=False)  # SDKs give every event the time it was sent at
        extra = extra if any(extra[:3]) else None
    trace = traceparent_of(item.get("traceparent")) or trace
    return Incoming(id_, name, now if ts is None else ts, _data(item.get("data")), None, extra, None, trace)


def _name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise Unusable("event name is empty")
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
    encoded = document({key: value for key, value in data.items() if key != "_inngest"}).encode()
    if len(encoded) > MOST_BYTES:
        raise Unusable(f"event data has more than {MOST_BYTES} bytes")
    return encoded


def _id(seed: str | None, index: int) -> bytes:
    return ids.of_request(seed, index) if seed else new_id()


def _parsed(body: bytes) -> Any:
    if not _LONG.search(body):
        return orjson.loads(body)
    return json.loads(body, parse_constant=_no_number)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def answer(accepted: list[str], error: str | None) -> Mapping[str, object]:
    """The answer, as SDKs read it."""
    return {"ids": accepted, "status": 200} if error is None else {"ids": accepted, "status": 400, "error": error}
