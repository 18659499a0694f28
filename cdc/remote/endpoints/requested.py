"""The request that a run began with: what its SDK tells of it, and the same request again. Pure.

An SDK that is called by us reads no body: it asks our API for the run's events and steps, and goes by headers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import orjson

from cdc.remote.call import Call
from cdc.remote.canonical import rewritten
from cdc.remote.request import Request, headers

EVENT = "inngest/http.request"

_MARK = "/#endpoints"
"""Ends the URL of an app that is an origin with endpoints; no other has a fragment."""

_CROCKFORD = {each: value for value, each in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_METHOD = re.compile(r"[A-Z]{1,20}")
_NO_WORD = re.compile(r"[^A-Za-z0-9._]+")
_LONGEST = 100
_APART = 86400.0
"""Seconds that an app's clock may differ from ours: by the ids of runs they are sorted."""

_READ = ("POST", "PUT")
"""Methods whose bodies SDKs read, and check signatures of; of any other they take the body for empty."""


class NoRequest(Exception):
    """What is told of a request is none; says why."""


class Requested(NamedTuple):
    """A request as its SDK tells of it."""

    origin: str
    method: str
    path: str
    function: str
    data: bytes
    """Of the event, as JSON."""

    @property
    def app(self) -> str:
        """The name of the app."""
        return urlsplit(self.origin).netloc

    @property
    def url(self) -> str:
        """That of the app, which is not called as it stands."""
        return self.origin + _MARK

    @property
    def name(self) -> str:
        """What its author calls it, or where it is."""
        return self.function or f"{self.method} {self.path}"[:_LONGEST]

    @property
    def function_id(self) -> str:
        """Of the function that the endpoint is."""
        return f"{self.app}-{_NO_WORD.sub('-', self.name).strip('-')[:_LONGEST] or 'endpoint'}"


def requested(event: object) -> Requested:
    """What the event of a new run tells.

    Raises:
        NoRequest: it tells of no request.
    """
    data = event.get("data") if isinstance(event, Mapping) else None
    if not isinstance(event, Mapping) or event.get("name") != EVENT or not isinstance(data, Mapping):
        raise NoRequest(f"The event of a run that begins in an endpoint is {EVENT}.")
    origin, method, path, function = (data.get(key) for key in ("domain", "method", "path", "fn"))
    if not isinstance(origin, str) or not _is_origin(origin):
        raise NoRequest("The domain of a request is http:// or https:// and a host.")
    if not isinstance(method, str) or not _METHOD.fullmatch(method):
        raise NoRequest("A request has a method.")
    if not isinstance(path, str) or not path.startswith("/") or not path.isprintable():
        raise NoRequest("A request has a path.")
    named = function if isinstance(function, str) and function.isprintable() else ""
    return Requested(origin, method, path, named[:_LONGEST].strip(), orjson.dumps(data))


def run_id(text: object, now: float | None = None) -> str | None:
    """The id of a run as it is stored, of a ULID as SDKs make them, or of what is stored; None where it is neither. A
    new run's must be of about `now`.
    """
    if isinstance(text, str) and _ULID.fullmatch(text):
        value = 0
        for each in text:
            value = value * 32 + _CROCKFORD[each]
        far = now is not None and abs((value >> 80) / 1000 - now) > _APART
        return None if far else str(UUID(int=value))
    if now is None:
        try:
            return str(UUID(str(text)))
        except ValueError:
            return None
    return None


def is_endpoint(url: str) -> bool:
    """Whether an app's URL is that of an origin with endpoints."""
    return url.endswith(_MARK)


def again(url: str, call: Call) -> Request:
    """The request with which a run began, marked as a call of ours. A body that is no JSON no SDK reads.

    Raises:
        ValueError: the run did not begin with one.
    """
    data = call.events[0].get("data") or {}
    try:
        asked = requested({"name": EVENT, "data": data})
    except NoRequest:
        raise ValueError("it did not begin with a request of its endpoint") from None
    query = data.get("query_params")
    target = url.removesuffix(_MARK) + asked.path + (f"?{query}" if isinstance(query, str) and query else "")
    marked = headers(call) | {"x-inngest-signature": ""}  # without one it would be taken for a user's
    if call.planned:
        marked["x-inngest-force-step-plan"] = "true"
    body = _body(data.get("body")) if asked.method in _READ else b""
    return Request(target, marked, body, asked.method)


def _body(given: Any) -> bytes:
    try:
        return rewritten(given.encode()) if isinstance(given, str) else b""
    except ValueError:
        return b""


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    whole = f"{parts.scheme}://{parts.netloc}" == text and text.isascii() and text.isprintable() and len(text) < 255
    return whole and parts.scheme in ("http", "https") and bool(host) and "@" not in parts.netloc and port != 0
