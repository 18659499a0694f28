"""`cdc drain`: for cron, on databases that scale to zero."""

from __future__ import annotations

import asyncio

from cdc import config, telemetry
from cdc.cli.database import DEFAULT, Source, chosen
from cdc.cli.showing import show
from cdc.service import draining


def drain(*, source: Source = DEFAULT) -> int:
    """Take what was committed so far in as events, then end: for cron, where the database should sleep.

    Args:
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    named = chosen(settings, source)
    telemetry.configure(settings.log_level, settings.log_format)
    accepted = asyncio.run(draining.drain(settings, named))
    show("1 event was accepted." if accepted == 1 else f"{accepted:,} events were accepted.")
    return 0
