"""`cdc functions`: what is in the folders."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from cdc import config, discovery


def functions() -> None:
    """List the functions that would run, and check their files; exits non-zero when one cannot be loaded."""
    found = discovery.discover(discovery.search_path(config.load().functions))
    table = Table("function", "starts on", "retries", "flow control")
    for function in found.values():
        starts = ", ".join(map(str, function.triggers))
        table.add_row(function.id, starts, str(function.retries), ", ".join(function.flow))
    # In a pipe there is no width to fit into, and a name that is broken in two cannot be searched for.
    Console(width=None if sys.stdout.isatty() else 1000, markup=False, emoji=False).print(table)
