"""`cdc send`: an event of one's own."""

from __future__ import annotations

import asyncio

from rich import print as say

from cdc import config
from cdc.cli.database import database_url
from cdc.service import sending


def send(name: str, data: str = "{}") -> None:
    """Send an event; the functions that name it start.

    Args:
        name: the event's name, such as app/order.paid.
        data: what it carries: a JSON object.
    """
    asyncio.run(sending.send(database_url(config.load()), name, data))
    say(f"{name} is sent.")
