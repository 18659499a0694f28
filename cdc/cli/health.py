"""`cdc health`: for a container's HEALTHCHECK."""

from __future__ import annotations

import httpx
from rich import print as say

from cdc import config


def health() -> int:
    """Whether the service on this machine is ready: exit code 0 when it is, 1 when not."""
    settings = config.load()
    try:
        answer = httpx.get(f"{settings.local_url}/readyz", timeout=5.0, trust_env=False)
    except httpx.HTTPError:
        say("not running")
        return 1
    say("ready" if answer.status_code == 200 else "not ready")
    return 0 if answer.status_code == 200 else 1
