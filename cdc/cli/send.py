"""`cdc send`: an event of one's own."""

from __future__ import annotations

import asyncio

from rich import print as say

from cdc import config
from cdc.cli import choosing
from cdc.cli.database import DEFAULT, Source, database_url
from cdc.service import sending


def send(
    name: str,
    data: str = "{}",
    *,
    id: str | None = None,
    ts: str | None = None,
    user: str | None = None,
    v: str | None = None,
    source: Source = DEFAULT,
) -> None:
    """Send an event; the functions that name it start.

    Args:
        name: the event's name, such as app/order.paid.
        data: what it carries: a JSON object.
        id: an id of your own: a second event with the same one starts nothing within 24 hours.
        ts: its time: 2026-05-01 or 2026-05-01T12:00Z. What it starts in the future starts then.
        user: who it is about, for instance: a JSON object.
        v: the version of its data's shape.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    time = choosing.moment("--ts", ts)
    asyncio.run(sending.send(database_url(config.load(), source), name, data, id=id, ts=time, user=user, v=v))
    say(f"{name} is sent.")
