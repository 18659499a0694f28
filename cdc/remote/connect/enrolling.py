"""Connecting is the sync: what a worker tells of its apps goes into the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cdc.errors import CdcError
from cdc.remote.configs import Unusable
from cdc.remote.connect.gateway import Register
from cdc.remote.connect.handshake import NotLetIn
from cdc.remote.registering import Registering, told
from cdc.store.failures import ConnectionTrouble

_NOWHERE = "https://connect"
"""A URL for what is checked like a sync over HTTP; it is not kept."""


def enrols(registering: Registering) -> Register:
    """Registers the apps of workers."""

    async def enrol(said: Mapping[str, Any]) -> None:
        try:
            await registering.write(told({**said, "url": _NOWHERE})._replace(url=None))
        except Unusable as unusable:
            raise NotLetIn(str(unusable)) from None
        except (*ConnectionTrouble, CdcError):
            raise NotLetIn("The state database does not answer: connect again.") from None

    return enrol
