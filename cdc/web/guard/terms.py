"""What the service asks of those who come by HTTP."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Terms:
    """The credentials that count. Without a `token` nothing is asked: right on loopback only.

    `metrics_token` opens /metrics only. `reading` are what Inngest's SDKs send for a signing key, which opens reading,
    and what they call. `anywhere`: the service goes by any name. `closed`: what asks for a token does so even where
    there is none.
    """

    token: str | None = field(default=None, repr=False)
    metrics_token: str | None = field(default=None, repr=False)
    reading: Sequence[str] = field(default=(), repr=False)
    anywhere: bool = False
    closed: bool = False

    @property
    def kind(self) -> str:
        """What SDKs take the service for: in `cloud` mode they sign and send keys."""
        return "cloud" if self.reading else "dev"


NOTHING_ASKED = Terms()


def same(given: str, known: str) -> bool:
    """Whether two secrets are the same; how long that takes tells nothing of them, not even how long they are."""
    return hmac.compare_digest(_digest(given), _digest(known))


def one_of(given: str, known: Sequence[str]) -> bool:
    """Whether a secret is among those that are known."""
    found = [same(given, each) for each in known]  # all are compared, whichever it is
    return any(found)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
