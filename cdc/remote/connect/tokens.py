"""Tokens that let a worker from the start of a connection, asked for over HTTP, to its WebSocket. Pure.

A page in a browser may open a WebSocket to this machine, too; it cannot read the answer that the tokens are in.
"""

from __future__ import annotations

import hashlib
import hmac

LASTS = 300
"""Seconds."""


def key_of(secret: str) -> bytes:
    """The key for tokens, from one that all replicas have: the signing key, say. It signs nothing else."""
    return hmac.digest(secret.encode(), b"tokens of connections", hashlib.sha256)


def issue(key: bytes, purpose: str, about: str, now: float) -> str:
    """A token for one purpose, about one connection."""
    until = str(int(now) + LASTS)
    return f"{until}.{_mac(key, purpose, about, until)}"


def is_good(key: bytes, token: str, purpose: str, about: str, now: float) -> bool:
    """Whether we issued it for this, and not long ago."""
    until, _, mac = token.partition(".")
    right = hmac.compare_digest(mac.encode(), _mac(key, purpose, about, until).encode())
    return right and now <= int(until)


def _mac(key: bytes, purpose: str, about: str, until: str) -> str:
    return hmac.digest(key, "\n".join((purpose, about, until)).encode(), hashlib.sha256).hex()
