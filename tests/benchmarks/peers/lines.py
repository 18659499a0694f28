"""The peer's end of the line: a command in, an answer out, one JSON document each."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any


def commands() -> Iterator[dict[str, Any]]:
    """What the benchmark asks for, until it hangs up."""
    for line in sys.stdin:
        yield json.loads(line)


def answer(**values: Any) -> None:
    """Answer the last command."""
    print(json.dumps(values), flush=True)


class Begun:
    """When each arrival's handler began, in seconds since the epoch, and that anything began at all."""

    def __init__(self) -> None:
        self.first = threading.Event()
        self.at: dict[int, float] = {}

    def note(self) -> None:
        """A handler begins."""
        if not self.first.is_set():
            self.first.set()

    def arrived(self, number: int) -> None:
        """The handler of this arrival begins."""
        self.at[number] = time.time()
        self.note()
