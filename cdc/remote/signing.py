"""Signatures between the service and apps that speak Inngest's SDK protocol. Pure: whoever calls apps signs with it.

A request or an answer carries `x-inngest-signature: t=<seconds>&s=<hex>`: the HMAC-SHA256 of the canonical body and the
time. The key is the text after `signkey-<env>-`, as it stands. To the service's API SDKs send the SHA-256 of that key
as a Bearer instead. Where there are two keys, for changing one without a gap, either counts.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

from cdc.remote.canonical import rewritten

WINDOW = 300
"""Seconds that a signature is good for, before and after its time."""

_PREFIX = re.compile(r"signkey-\w+?-(?=[0-9a-fA-F]+$)")
_KEY = re.compile(r"(?:[0-9a-fA-F]{2})+")
_HEADER = re.compile(r"t=(\d{1,12})&s=([0-9a-f]{64})")


def is_key(text: str) -> bool:
    """Whether it is a signing key: bytes in hexadecimal, after `signkey-<env>-` or alone."""
    return _KEY.fullmatch(_plain(text)) is not None


def sign(body: bytes, key: str, at: float, *, is_canonical: bool = False) -> str:
    """The header for a body, at a time in seconds since 1970; `is_canonical` spares making it so again."""
    seconds = str(int(at))
    return f"t={seconds}&s={_mac(body if is_canonical else _canonical(body), key, seconds)}"


def is_signed(body: bytes, header: str, keys: Sequence[str], now: float) -> bool:
    """Whether a body was signed with one of the keys, and not long ago; how long that takes tells nothing of them."""
    found = _HEADER.fullmatch(header)
    if found is None or abs(now - int(found[1])) > WINDOW:
        return False
    said = _canonical(body)
    right = [hmac.compare_digest(found[2], _mac(said, key, found[1])) for key in keys]
    return any(right)


def bearers(key: str) -> tuple[str, ...]:
    """What SDKs may send as Bearer for a key: its hash, with its prefix or without, or the key itself."""
    plain = _plain(key)
    prefix = key.removesuffix(plain)
    hashed = hashlib.sha256(bytes.fromhex(plain)).hexdigest()
    return tuple(dict.fromkeys((hashed, f"{prefix}{hashed}", key)))


def _plain(key: str) -> str:
    return _PREFIX.sub("", key, count=1)


def _mac(body: bytes, key: str, seconds: str) -> str:
    return hmac.digest(_plain(key).encode(), body + seconds.encode(), hashlib.sha256).hex()


def _canonical(body: bytes) -> bytes:
    """A body as both ends sign it; what is no JSON is signed as it stands."""
    try:
        return rewritten(body)
    except (ValueError, RecursionError):
        return body
