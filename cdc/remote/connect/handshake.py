"""Who connects: what a worker says of itself in its first message, checked. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cdc.remote.connect import tokens
from cdc.remote.connect.messages import Garbled

PROTOCOL = "v0.connect.inngest.com"
PATH = "/v0/connect"

SESSION, SYNC, FLUSH = "session", "sync", "flush"
"""What a token is for: to connect; to tell of functions; to pass on a reply, which only the service does."""

_LANGUAGES = {"typescript": "js", "python": "py"}
"""As SDKs call themselves everywhere else."""


class NotLetIn(Exception):
    """A worker may not connect; says why, in words for its log."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker. `apps`: what it says of each (as in a sync over HTTP, without a URL), by name."""

    connection_id: str
    instance: str
    sdk: str
    apps: Mapping[str, Mapping[str, Any]]
    most: int | None
    """Calls that it takes at a time."""
    says_ready: bool
    """It says itself when it is ready; else it is at once."""


def check(said: Any, key: bytes, now: float) -> None:
    """Check the tokens that a worker shows.

    Raises:
        NotLetIn: they are not ours, or too old.
    """
    shown = {SESSION: said.auth_data.session_token, SYNC: said.auth_data.sync_token}
    if not all(tokens.is_good(key, token, purpose, said.connection_id, now) for purpose, token in shown.items()):
        raise NotLetIn("The tokens are not good any more: start the connection again.")


def worker(said: Any) -> Worker:
    """What it says.

    Raises:
        Garbled: its functions are no JSON.
        NotLetIn: it has no app.
    """
    language = said.sdk_language.lower()
    sdk = f"{_LANGUAGES.get(language, language)}:v{said.sdk_version.removeprefix('v')}"
    apps = {each.app_name: _app(each, sdk, said.framework) for each in said.apps if each.app_name}
    if not apps:
        raise NotLetIn("The worker names no app.")
    most = said.max_worker_concurrency
    return Worker(
        said.connection_id,
        said.instance_id,
        sdk,
        apps,
        most=most if most > 0 else None,
        says_ready=said.worker_manual_readiness_ack,
    )


def _app(app: Any, sdk: str, framework: str) -> Mapping[str, Any]:
    try:
        functions = json.loads(app.functions or b"[]")
    except (ValueError, RecursionError):
        raise Garbled(f"the functions of {app.app_name!r} are no JSON") from None
    return {
        "url": None,
        "appName": app.app_name,
        "appVersion": app.app_version or None,
        "sdk": sdk,
        "framework": framework,
        "functions": functions,
    }
