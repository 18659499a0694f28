"""What the service answers a worker that asks over HTTP: where to connect, with which tokens; and its last replies."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cdc.remote.connect import tokens
from cdc.remote.connect.handshake import FLUSH, PATH, SESSION, SYNC
from cdc.remote.connect.messages import FlushResponse, Reply, StartResponse, read

_PATIENCE = 4.0
"""Seconds, where SDKs wait 5."""


class NotThere(Exception):
    """The gateway cannot be reached; says why."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where workers ask first. `host` and `port` are the gateway's, `key` is for tokens (`tokens.key_of`).

    `awake` sees to it that the gateway runs, or raises NotThere.
    """

    host: str
    port: int
    key: bytes
    awake: Callable[[], Awaitable[None]]

    async def start(self, known_as: str, now: float, *, secure: bool = False) -> bytes:
        """The answer to a worker; `known_as`: the name by which it reached the service, with or without a port.

        Raises:
            NotThere: there is no gateway.
        """
        await self.awake()
        made = str(uuid.uuid4())
        answer: bytes = StartResponse(
            connection_id=made,
            gateway_endpoint=f"{'wss' if secure else 'ws'}://{_name(known_as)}:{self.port}{PATH}",
            gateway_group="cdc",
            session_token=tokens.issue(self.key, SESSION, made, now),
            sync_token=tokens.issue(self.key, SYNC, made, now),
        ).SerializeToString()
        return answer

    async def flush(self, body: bytes, now: float) -> bytes:
        """Pass on a reply that a worker could not be sure of; the answer to it.

        Raises:
            Garbled: it is none.
            NotThere: the gateway cannot be reached.
        """
        request_id = read(Reply, body).request_id
        url = f"http://{_reachable(self.host)}:{self.port}{PATH}/flush"
        await _pass_on(url, body, tokens.issue(self.key, FLUSH, "", now))
        answer: bytes = FlushResponse(request_id=request_id).SerializeToString()
        return answer


async def _pass_on(url: str, body: bytes, token: str) -> None:
    import aiohttp  # only here: the service starts sooner without it

    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE)) as client,
            client.post(url, data=body, headers={"authorization": token}) as answer,
        ):
            answer.raise_for_status()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise NotThere("The gateway does not answer: send it again.") from error


def _name(known_as: str) -> str:
    """A Host header without its port."""
    if known_as.startswith("["):
        return known_as.partition("]")[0] + "]"
    return known_as.partition(":")[0] or "localhost"


def _reachable(host: str) -> str:
    """The address to which a server is bound, as who connects to it writes it."""
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"[{address}]" if address.version == 6 else str(address)
