"""What an app's answer to a call means (protocol sections 4.3 to 4.6). Pure: status, headers and body in, `Answer` out.

Whatever an app sends, something is made of it: what is no answer is an error of that attempt, as if the function had
thrown it, and says what to look at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson

from cdc.clock import moment
from cdc.remote.answer import Answer, Planned, Returned, Threw
from cdc.remote.opcodes import LONGEST_TEXT, NoOpcode, error_of, opcodes, sleep_until, timeout_of
from cdc.store.json import encoded

__all__ = [
    "LARGEST_BODY",
    "LARGEST_STEP",
    "Unreadable",
    "failed",
    "parsed",
    "read",
    "retry_after",
    "sleep_until",
    "timeout_of",
]

LARGEST_BODY = 8 * 1024 * 1024
"""Bytes of an answer."""

LARGEST_STEP = 4 * 1024 * 1024
"""Bytes of JSON that the result of one step may have."""

DEEPEST = 200
"""Lists and objects inside one another; orjson writes 254, and memos have some around them."""

_WRITABLE = 254
_LONGEST_REFUSAL = 16 * 1024
_SOONEST, _LATEST = 1.0, 24 * 3600.0
_LONG_NUMBER = re.compile(rb"\d{20}|-\d{19}")
_OVERDEEP = "It is nested too deeply."


class Unreadable(Exception):
    """A body is no JSON that can be kept; says why."""


class _Head(NamedTuple):
    """What an answer says besides its body."""

    now: float
    status: int
    is_sdk: bool
    version: int
    no_retry: bool
    retry_after: float | None


def read(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Answer:
    """What an answer means. The names of `headers` are in lower case, or found in any; `now` is in seconds since 1970.

    An answer that came by another way than HTTP is read the same, with the statuses 200, 206 and 500.
    """
    if len(body) > LARGEST_BODY:
        return too_large()
    head = _head(status, headers, now)
    if status == HTTPStatus.CREATED and head.is_sdk:
        return _streamed(headers, body, now)
    try:
        value: Any = parsed(body)
    except Unreadable as unreadable:
        if _is_good(status) and head.is_sdk:
            return failed("UnreadableAnswer", f"The app's answer cannot be read. {unreadable}")
        value = body[:LONGEST_TEXT].decode(errors="replace")
    return _meant(head, value, len(body))


def is_refused(status: int, body: bytes) -> bool:
    """Whether an app did not accept the signature; one that streams says so in its envelope."""
    if status != HTTPStatus.CREATED or len(body) > _LONGEST_REFUSAL:
        return status == HTTPStatus.UNAUTHORIZED
    with suppress(Unreadable):
        envelope = parsed(body)
        return isinstance(envelope, dict) and envelope.get("status") == HTTPStatus.UNAUTHORIZED
    return False


def failed(name: str, message: str, *, no_retry: bool = False) -> Threw:
    """An attempt that failed without the function's own doing."""
    return Threw({"name": name, "message": message}, no_retry=no_retry)


def too_large() -> Threw:
    """The answer is larger than any that is read."""
    return failed(
        "AnswerTooLarge",
        f"The app's answer is larger than {LARGEST_BODY:,} bytes. Store the value elsewhere and return where it is.",
        no_retry=True,
    )


def retry_after(text: str | None, now: float) -> float | None:
    """Seconds until an attempt, from a Retry-After: seconds or a date, in either form. Between 1 second and a day."""
    if not text:
        return None
    try:
        wait = float(text)
    except ValueError:
        try:
            wait = _date(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return None if wait != wait else min(max(wait, _SOONEST), _LATEST)


def _date(text: str) -> datetime:
    try:
        return moment(text.strip())
    except ValueError:
        found = parsedate_to_datetime(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def _is_good(status: int) -> bool:
    return 200 <= status < 300


def _head(status: int, headers: Mapping[str, str], now: float) -> _Head:
    version = headers.get("x-inngest-req-version", "")
    return _Head(
        now,
        status,
        bool(headers.get("x-inngest-sdk")),
        int(version) if re.fullmatch(r"[1-9]", version) else 1,
        headers.get("x-inngest-no-retry", "").lower() == "true",
        retry_after(headers.get("retry-after"), now),
    )


def _streamed(headers: Mapping[str, str], body: bytes, now: float) -> Answer:
    """An answer that was kept open with spaces: the real one is in an envelope."""
    try:
        envelope = parsed(body)
    except Unreadable as unreadable:
        return failed("UnreadableAnswer", f"The app's stream ended before its answer, or cannot be read. {unreadable}")
    status = envelope.get("status") if isinstance(envelope, dict) else None
    if not isinstance(status, int) or status == HTTPStatus.CREATED:
        return failed("UnreadableAnswer", "The app's stream ended without an answer.")
    inner = envelope.get("headers")
    told = {str(k).lower(): v for k, v in inner.items() if isinstance(v, str)} if isinstance(inner, dict) else {}
    known = {name: headers[name] for name in ("x-inngest-sdk", "x-inngest-req-version") if name in headers}
    value = envelope.get("body")
    if isinstance(value, str):
        with suppress(Unreadable):  # then it is a text as it stands
            value = parsed(value.encode(errors="surrogatepass"))
    return _meant(_head(status, known | told, now), value, len(body))


def _meant(head: _Head, value: Any, size: int) -> Answer:
    match head.status:
        case HTTPStatus.UNAUTHORIZED:
            return _foreign(head, value)
        case _ if not head.is_sdk:
            return _foreign(head, value)
        case HTTPStatus.OK:
            return Returned(value)
        case HTTPStatus.PARTIAL_CONTENT:
            return _planned(head, value, size)
        case status if _is_good(status) or status < 400:
            return failed("UnreadableAnswer", f"The app answered with the status {status}, which no SDK's answer has.")
    return Threw(error_of(value), _raw(value), head.no_retry, head.retry_after)


def _planned(head: _Head, value: Any, size: int) -> Answer:
    try:
        if isinstance(value, str):
            value = parsed(value.encode(errors="surrogatepass"))
        ops = opcodes([] if value is None else value, head.now)
    except (NoOpcode, Unreadable) as wrong:
        return failed("UnreadableAnswer", f"The app's answer cannot be read. {wrong}", no_retry=True)
    if size > LARGEST_STEP:
        for op in ops:
            if len(encoded(op.data)) > LARGEST_STEP:
                return failed(
                    "StepTooLarge",
                    f"The result of step {op.key!r} is larger than {LARGEST_STEP:,} bytes of JSON. "
                    "Store the value elsewhere and return where it is.",
                    no_retry=True,
                )
    return Planned(ops, head.version, head.no_retry, head.retry_after)


def _foreign(head: _Head, value: Any) -> Threw:
    """An answer that no SDK gave: of a proxy before the app, or of another server."""
    if _is_good(head.status):
        message = "What answered is not an Inngest SDK: the header x-inngest-sdk is missing. Is the app's URL right?"
    elif head.status == HTTPStatus.UNAUTHORIZED:
        message = "The app refused the signature (HTTP 401). Is CDC_SIGNING_KEY the INNGEST_SIGNING_KEY of the app?"
    elif head.status < 400:
        message = f"The app's URL redirects elsewhere (HTTP {head.status}); sync the app with the URL that it has now."
    else:
        message = f"The server before the app, or the app's own, failed (HTTP {head.status})."
    return Threw({"name": "InfrastructureError", "message": message}, _raw(value), retry_after=head.retry_after)


def _raw(value: Any) -> Any:
    return value if len(encoded(value)) <= LONGEST_TEXT else None


def parsed(body: bytes) -> Any:
    """JSON as values that can be written again.

    Raises:
        Unreadable: it is none, or cannot.
    """
    if not body.strip():
        return None
    try:
        # orjson reads an integer beyond 64 bits as a float, and refuses half a pair of surrogates, which a text that
        # JavaScript has cut may end with.
        value = _odd(body) if _LONG_NUMBER.search(body) else orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _odd(body)
    if body.count(b"[") + body.count(b"{") > DEEPEST and _is_deep(value):
        raise Unreadable(_OVERDEEP)
    return value


def _odd(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_no_number, parse_float=_number)
    except RecursionError:
        raise Unreadable(_OVERDEEP) from None
    except ValueError as error:
        # Where, and never what stands there.
        where = f" (at {error.pos:,})" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"It is no JSON{where}.") from None


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _number(text: str) -> float:
    number = float(text)
    return number if number - number == 0 else _no_number(text)


def _is_deep(value: Any) -> bool:
    around: Any = value
    for _ in range(_WRITABLE - DEEPEST):
        around = [around]
    try:
        orjson.dumps(around)
    except TypeError:  # too deep, or odd in another way
        return not _fits(value, DEEPEST)
    return False


def _fits(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(_fits(each, depth - 1) for each in inside)
