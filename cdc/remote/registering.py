"""What an app tells of itself, in whichever way it came, brought into the registry (protocol section 2)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import structlog

from cdc.errors import ConfigurationError
from cdc.remote import addresses
from cdc.remote.addresses import Entry, NotAllowed, Target
from cdc.remote.configs import Unusable, definitions
from cdc.remote.fields import Fields, shown
from cdc.store import apps
from cdc.store.apps import Synced, Told
from cdc.store.connect import Connection

log = structlog.get_logger(__name__)

DEPLOY = "deployId"
"""The part of a query in which an SDK gives back what it was asked with: here the id of the app's row."""

_OURS = {DEPLOY, "fnId", "stepId", "probe"}
"""Parts of a query that belong to one request, and to no app's URL."""

_LONGEST = 255
_REMEMBERED = 1000
LONGEST_URL = 2000

To = Callable[[], AbstractAsyncContextManager[Connection]]
"""A connection to the state database, given back at the end of the block."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What is known of apps before any of them said anything: where they may be, and the keys of both ends.

    Without `hosts` they may be on this machine only, and that in `development`. Signed with the first of the `keys`.
    """

    hosts: Sequence[Entry] = ()
    keys: Sequence[str] = field(default=(), repr=False)
    development: bool = True

    @property
    def kind(self) -> str:
        """What SDKs call a server like this."""
        return "cloud" if self.keys else "dev"

    def target(self, url: str) -> Awaitable[Target]:
        """Where an app is.

        Raises:
            NotAllowed: it may not be called there.
        """
        return addresses.target(url, self.hosts, development=self.development)


class Registering:
    """Takes what apps tell. `wake`: the functions of apps have changed."""

    def __init__(self, to_state: To, grounds: Grounds, wake: Callable[[], None]) -> None:
        self.grounds = grounds
        self.to_state = to_state
        self._wake = wake
        self._turn = asyncio.Lock()
        self.became: dict[int, int] = {}
        """Rows that were known by URL only, and those of the apps that they turned out to be."""

    async def take(self, body: object, *, deploy: str | None = None) -> Synced:
        """Register an app of its sync's body. `deploy` is what it was asked with, if it was.

        Raises:
            Unusable: it cannot be used; says why.
        """
        told_ = told(body)
        try:
            await self.grounds.target(told_.url or "")
        except NotAllowed as no:
            raise Unusable(f"The app's URL cannot be used: {no}") from None
        return await self.write(told_, int(deploy) if deploy and deploy.isdecimal() and len(deploy) < 10 else None)

    async def write(self, told: Told, known: int | None = None) -> Synced:
        """Register what was read already, such as of an app that connects by itself.

        Raises:
            Unusable: a function of somebody else has the id of one of its functions, or the app was removed meanwhile.
        """
        async with self._turn, self.to_state() as conn:  # or many syncs at once would take all connections
            try:
                synced = await apps.sync(conn, told, known)
            except ConfigurationError as taken:
                raise Unusable(str(taken)) from None
        if known is not None and known != synced.id and len(self.became) < _REMEMBERED:
            self.became[known] = synced.id
        if synced.modified:
            log.info("app synced", app=told.name, sdk=told.sdk, functions=len(told.definitions))
            self._wake()
        return synced

    async def remove(self, name: str) -> bool:
        """Forget an app, by its name or URL; False: there is none."""
        async with self.to_state() as conn:
            removed = await apps.remove(conn, name)
        if removed:
            log.info("app removed")
            self._wake()
        return removed


def told(body: object) -> Told:
    """What an app tells: in a call of the API, or in the answer to one of ours.

    Raises:
        Unusable: it cannot be used.
    """
    try:
        fields = Fields(body)
        name = fields.text("app_name") or fields.text("app_id")
        if name is None or len(name) > _LONGEST or not name.isprintable() or name != name.strip():
            raise ValueError(f"its name must be a text of 1 to {_LONGEST} characters, not {shown(name)}")
        url = stripped(fields.text("url") or "")
        about = [fields.text("framework"), fields.text("app_version")]
        sdk = fields.text("sdk") or _sdk(fields)
        functions = fields.list("functions")
    except ValueError as error:
        raise Unusable(f"What the app tells cannot be read: {error}") from None
    framework, version = (each and each[:_LONGEST] for each in about)
    return Told(name, url, sdk and sdk[:_LONGEST], framework, version, definitions(functions, name))


def _sdk(fields: Fields) -> str | None:
    language, version = fields.text("sdk_language"), fields.text("sdk_version")
    return f"{language}:v{version}" if language and version else None


def stripped(url: str) -> str:
    """An app's URL, without what of its query belongs to one request.

    Raises:
        ValueError: it is none.
    """
    if not 0 < len(url) <= LONGEST_URL or not url.isprintable():
        raise ValueError(f"its URL must have 1 to {LONGEST_URL} printable characters")
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("its URL must begin with http:// or https://")
    parts = urlsplit(url)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _OURS]
    return urlunsplit(parts._replace(query=urlencode(kept), fragment=""))


def answer(synced: Synced) -> dict[str, Any]:
    """What an SDK is answered."""
    return {
        "ok": True,
        "modified": synced.modified,
        "sync_id": str(uuid.uuid4()),
        "app_id": str(uuid.uuid5(uuid.NAMESPACE_OID, str(synced.id))),
    }
