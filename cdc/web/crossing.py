"""Events from pages elsewhere (CORS): they may send where a key is asked for; without keys, only those of this machine.

What is said of an answer: whether the page that it is for may read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from cdc.web.guard.access import is_loopback

_HEADERS = "content-type, x-inngest-event-id-seed, x-inngest-sdk, x-inngest-env, x-inngest-framework, traceparent"
_KEPT = "600"
"""Seconds that a browser need not ask again."""


def allowed(origin: str | None, *, keyed: bool) -> Mapping[str, str]:
    """The headers of an answer to a page of this origin; none where it may not read it, or is no page."""
    if not origin:
        return {}
    if keyed:
        return {"access-control-allow-origin": "*"}
    return {"access-control-allow-origin": origin, "vary": "origin"} if _is_here(origin) else {}


def asked_first(origin: str | None, *, keyed: bool) -> Mapping[str, str]:
    """The same of the answer to a browser that asks whether a page may send."""
    headers = allowed(origin, keyed=keyed)
    if not headers:
        return {}
    return {
        **headers,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": _HEADERS,
        "access-control-max-age": _KEPT,
    }


def _is_here(origin: str) -> bool:
    try:
        return is_loopback(urlsplit(origin).netloc)
    except ValueError:
        return False
