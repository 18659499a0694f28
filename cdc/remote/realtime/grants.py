"""What lets a browser listen: a signed token (JWT, RFC 7519) that names the topics, and for how long. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable

from cdc.remote.realtime.hub import Topic

LASTS = 600
"""Seconds in which a token opens connections; they stay open."""


class NoGrant(Exception):
    """A token is not ours, or too old."""


def key_of(secret: str) -> bytes:
    """The key for tokens, from one that all replicas have: the signing key, say. It signs nothing else."""
    return hmac.digest(secret.encode(), b"realtime", hashlib.sha256)


def grant(key: bytes, topics: Iterable[Topic], now: float) -> str:
    """A token for some topics."""
    claims = {"exp": int(now) + LASTS, "topics": [list(topic) for topic in topics]}
    said = f"{_HEADER}.{_encoded(json.dumps(claims, separators=(',', ':')).encode())}"
    return f"{said}.{_signature(key, said)}"


def granted(key: bytes, token: str, now: float) -> frozenset[Topic]:
    """The topics that a token is for.

    Raises:
        NoGrant: it is no good.
    """
    said, _, signature = token.rpartition(".")
    # The header is ours or none: it names an algorithm, and whoever forges one would choose it.
    header, _, claims = said.partition(".")
    good = hmac.compare_digest(signature.encode(), _signature(key, said).encode())
    if not good or header != _HEADER:
        raise NoGrant
    try:
        read = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    except (ValueError, binascii.Error):
        raise NoGrant from None
    if now > read["exp"]:
        raise NoGrant
    return frozenset(Topic(*topic) for topic in read["topics"])


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signature(key: bytes, said: str) -> str:
    return _encoded(hmac.digest(key, said.encode("utf-8", "surrogatepass"), hashlib.sha256))


_HEADER = _encoded(b'{"alg":"HS256","typ":"JWT"}')
