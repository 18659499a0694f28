"""`cdc adopt`: start on a copy of a database, or on one that took the place of another."""

from __future__ import annotations

import asyncio

from cdc import config
from cdc.cli import choosing
from cdc.cli.database import DEFAULT, Source, chosen
from cdc.cli.showing import show
from cdc.service import adopting
from cdc.service.adopting import Runs

_SAME = "This looks like the database that the checkpoint was made on. A copy of its disk does, too."


def adopt(*, runs: Runs, yes: bool = False, source: Source = DEFAULT) -> int:
    """Make this server the source of events from now on: it is a copy, or it took the place of another.

    Stop all services on this database first. Unfinished runs are those that are queued, running, sleeping or waiting.

    Args:
        runs: keep: unfinished runs go on here, which they must not do on a copy as well; cancel: they end here.
        yes: do not ask.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    named = chosen(settings, source)
    before = asyncio.run(adopting.look(settings, named))
    show(before.mismatch or _SAME)
    show(f"Unfinished runs: {_counted(before.runs)}.")
    question = "Cancel them, and" if runs == "cancel" else "Have them go on here, and"
    if not yes and not choosing.agreed(f"{question} make this server the source, from its present position on?"):
        show("Nothing was changed.")
        return 1
    cancelled = asyncio.run(adopting.adopt(settings, named, runs))
    show(f"This server is the source now. Runs that were cancelled: {cancelled}.")
    return 0


def _counted(runs: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {status}" for status, count in sorted(runs.items())) or "none"
