"""An event loop that never waits: when nothing else is left to do, it is at once as late as it has to be.

What a test says of seconds is then so on any machine, however long that stands still.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Leaps(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0 if timeout else timeout)
        if timeout and not found:
            self.now += timeout
        return found


def leaping(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nobody but itself."""
    leaps = _Leaps()

    def loop() -> asyncio.AbstractEventLoop:
        made = asyncio.SelectorEventLoop(leaps)
        made.time = lambda: leaps.now  # type: ignore[method-assign]
        return made

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)
