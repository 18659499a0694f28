"""Sessions of browsers: a signed cookie and nothing on the server, so that all replicas know them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

from starlette.types import Scope

LASTS = 12 * 3600
"""Seconds without a request after which a session ends."""

AT_MOST = 7 * 24 * 3600
"""Seconds after which it ends however much it was used."""

_RENEWED_AFTER = 600
"""Seconds after which a request moves its end."""

_FORM = re.compile(r"(\d{1,12})\.(\d{1,12})\.([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


class Session(NamedTuple):
    """A login: when it was, when it ends, and what tells it from others."""

    started: int
    ends: int
    nonce: str


class Sessions:
    """Signs and reads sessions. The key is made from the token: another token ends them all."""

    def __init__(self, token: str | None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._key = hmac.digest((token or "").encode(errors="surrogatepass"), b"cdc: sessions, 1", hashlib.sha256)

    def start(self) -> Session:
        """A new one."""
        now = int(self._clock())
        return Session(now, now + LASTS, new_nonce())

    def renewed(self, session: Session) -> Session | None:
        """The same with a later end, where it is time for that."""
        now = int(self._clock())
        ends = min(now + LASTS, session.started + AT_MOST)
        return session._replace(ends=ends) if ends - session.ends > _RENEWED_AFTER else None

    def written(self, session: Session) -> str:
        """A cookie's value."""
        said = f"{session.started}.{session.ends}.{session.nonce}"
        return f"{said}.{self._mac('session', said)}"

    def read(self, value: str) -> Session | None:
        """The session that a cookie's value is, if it was signed here and has not ended."""
        found = _FORM.fullmatch(value)
        if found is None:
            return None
        started, ends, nonce, mac = found.groups()
        if not hmac.compare_digest(mac, self._mac("session", f"{started}.{ends}.{nonce}")):
            return None
        session = Session(int(started), int(ends), nonce)
        return session if self._clock() < min(session.ends, session.started + AT_MOST) else None

    def field(self, nonce: str) -> str:
        """What forms carry that were made for a session, or for a visitor, of this nonce."""
        return self._mac("form", nonce)

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.digest(self._key, f"{purpose}:{text}".encode(), hashlib.sha256).hex()


def new_nonce() -> str:
    """Sixteen random bytes as text."""
    return secrets.token_urlsafe(16)


def is_nonce(text: str) -> bool:
    """Whether it may have been made by `new_nonce`."""
    return re.fullmatch(r"[A-Za-z0-9_-]{22}", text) is not None


def cookie_name(scope: Scope, name: str = "cdc") -> str:
    """The name of a cookie. By https it has the prefix with which browsers take it from this host alone."""
    return f"__Host-{name}" if scope["scheme"] == "https" else name


def set_cookie(scope: Scope, name: str, value: str, *, lasts: int) -> tuple[bytes, bytes]:
    """The header that sets one of our cookies; `lasts` 0 deletes it."""
    secure = "; Secure" if scope["scheme"] == "https" else ""
    said = f"{cookie_name(scope, name)}={value}; Path=/; Max-Age={lasts}; HttpOnly; SameSite=Strict{secure}"
    return b"set-cookie", said.encode("ascii")
