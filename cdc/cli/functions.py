"""`cdc functions`: what is in the folders."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from cdc import config, discovery
from cdc.authoring.triggers import EventTrigger


def functions() -> None:
    """List the functions that would run, and check their files; exits non-zero when one cannot be loaded."""
    found = discovery.discover(discovery.search_path(config.load().functions))
    table = Table("function", "starts on", "retries", "batch")
    for function in found.values():
        starts = ", ".join(
            trigger.event if isinstance(trigger, EventTrigger) else "embedded tables" for trigger in function.triggers
        )
        batch = str(function.batch_events.max_size) if function.batch_events else ""
        table.add_row(function.id, starts, str(function.retries), batch)
    # In a pipe there is no width to fit into, and a name that is broken in two cannot be searched for.
    Console(width=None if sys.stdout.isatty() else 1000, markup=False, emoji=False).print(table)
