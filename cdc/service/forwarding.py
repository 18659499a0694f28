"""CDC_FORWARD: row events sent on to a cluster, where the settings ask for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

from cdc.cluster.event_api import EventApi, Target
from cdc.cluster.forwarding import Forwarder
from cdc.config import Settings
from cdc.errors import ConfigurationError
from cdc.service.databases import Databases
from cdc.service.parts import Parts
from cdc.service.roles import Role
from cdc.store.connect import Connection
from cdc.store.gauges import Value

log = structlog.get_logger(__name__)

CLOUD = "https://inn.gs"
DEVELOPMENT = "http://127.0.0.1:8288"
_NO_KEY = "NO_EVENT_KEY_SET"
"""What Inngest's SDKs send to a development server."""


def develops(settings: Settings) -> bool:
    """Whether the cluster is a development server, which has no keys; INNGEST_DEV as the SDKs read it."""
    return (settings.inngest_dev or "").strip().lower() not in ("", "0", "false")


def target(settings: Settings) -> Target | None:
    """Where events are to be sent on to; None: nowhere.

    Raises:
        ConfigurationError: the address is none, or there is no key for it.
    """
    if settings.forward is None:
        return None
    told, is_dev = settings.inngest_dev or "", develops(settings)
    dev = (told if "://" in told else DEVELOPMENT) if is_dev else None
    origin = settings.inngest_event_api_base_url or settings.inngest_base_url or dev or CLOUD
    if not origin.startswith(("http://", "https://")):
        raise ConfigurationError(
            "The event API that CDC_FORWARD sends to has no usable address.",
            hint="Write INNGEST_EVENT_API_BASE_URL, INNGEST_BASE_URL or INNGEST_DEV like https://inngest.example.com.",
        )
    key = settings.inngest_event_key.get_secret_value() if settings.inngest_event_key else ""
    if not key and not is_dev:
        raise ConfigurationError(
            "CDC_FORWARD needs the key of the cluster's event API.",
            hint="Set INNGEST_EVENT_KEY, or INNGEST_DEV=1 for a development server without keys.",
        )
    return Target(origin, key or _NO_KEY)


class Forwarding:
    """What the service has to do with it; nothing at all where events are not sent on."""

    def __init__(self, forwarder: Forwarder | None) -> None:
        self._forwarder = forwarder

    @classmethod
    def of(cls, settings: Settings, databases: Databases, roles: frozenset[Role]) -> Forwarding:
        """As the settings ask for it; it is the listeners' business.

        Raises:
            ConfigurationError: they cannot be used.
        """
        chosen = target(settings)
        if chosen is None or "listener" not in roles:
            return cls(None)
        log.info("row events are sent on", to=chosen.origin)
        return cls(Forwarder(databases.through_pooler().to_state, EventApi(chosen)))

    async def start(self, parts: Parts, stack: AsyncExitStack, connect: Callable[[], Awaitable[Connection]]) -> None:
        """Begin, before the first event is accepted. Nothing is sent before `connect` gives a connection."""
        if self._forwarder is not None:
            await self._forwarder.begin()
            stack.push_async_callback(self._forwarder.close)
            parts.start("forwarding", self._forwarder.forward_forever(connect))

    def wake(self) -> None:
        """Events were accepted."""
        if self._forwarder is not None:
            self._forwarder.wake()

    async def measure(self, conn: Connection) -> list[Value]:
        """What waits to be sent on."""
        found = await self._forwarder.measure(conn) if self._forwarder is not None else []
        return [
            value
            for name, waiting, age in found
            for value in (Value("forward_waiting", name, waiting), Value("forward_age", name, age))
        ]
