"""The line on which a worker process reports to its parent: JSON lines on what was its stdout."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Any

import orjson

_GATHER = 0.005
"""Seconds to gather what became due before the parent hears of it."""


class Reports:
    """The line to the parent. Taking it away from stdout keeps user code's prints out of it; they are logs now, and
    come when they are made. `ready` says that a worker of this process was ready once.
    """

    def __init__(self) -> None:
        self.ready = False
        self._owed = False
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        if isinstance(sys.stdout, TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)

    def due(self) -> None:
        """Runs became due that others may execute; said once for all within a few milliseconds."""
        if not self._owed:
            self._owed = True
            asyncio.get_running_loop().call_later(_GATHER, self._say_due)

    def registered(self) -> None:
        """Functions were registered, or archived: there may be tables to follow, and runs."""
        self.due()
        self.send(registered=True)

    def _say_due(self) -> None:
        self._owed = False
        self.send(due=True)

    def tell(self, **report: Any) -> None:
        """The same, of what only matters to who knows that we are ready."""
        if self.ready:
            self.send(**report)

    def send(self, **report: Any) -> None:
        """One report; a parent that is gone does not hear it."""
        self.ready |= "ready" in report
        with suppress(BrokenPipeError):
            self._file.write(orjson.dumps(report) + b"\n")
