"""What goes on for ever beside each other: when one ends, so does the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from cdc.maintenance.loop import Loop


class Parts:
    """Tasks and loops; they are stopped with the stack, the last one first."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, body: Coroutine[Any, Any, None]) -> None:
        """Something that is cancelled at the end."""
        task = asyncio.create_task(body, name=name)
        self._stack.push_async_callback(cancel, task)
        self._tasks.append(task)

    def loop(self, loop: Loop) -> None:
        """Start a loop."""
        self._tasks.append(loop.start())
        self._stack.push_async_callback(loop.stop)

    def add(self, task: asyncio.Task[None]) -> None:
        """Something that its owner stops."""
        self._tasks.append(task)

    async def until_one_ends(self) -> None:
        """Wait; raises what the one that ended was ended by."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()


async def cancel(task: asyncio.Task[None]) -> None:
    """Cancel, and wait until it has ended."""
    task.cancel()
    await asyncio.wait({task})
