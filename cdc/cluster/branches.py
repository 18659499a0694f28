"""Lets a handler await steps in any way that asyncio knows, over an SDK that takes them one by one.

The SDK ends a call by an exception as soon as it meets a step that is new; steps side by side have to be named to it
together. So the handler runs in a task of its own, its steps only ask, and when the handler has nothing left to do
but wait for them, what it asked for is taken: a step that stands alone at once, several as a group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context
from hashlib import sha1
from typing import Any, NamedTuple

import inngest
from inngest._internal.step_lib import Group, ResponseInterrupt, SkipInterrupt, StepResponse

from cdc.errors import Interrupt

_TURNS = 2
_MOST_TURNS = 16
"""Of the event loop: a branch whose step just ended first gets its turn to go on. Each gather or task group between
that branch and the handler takes two; a handler that waits itself has none between.
"""

_LAST_WORDS = 1.0
"""Seconds that a handler has to end in when its call is over."""

Call = Callable[[], Awaitable[Any]]


class CallOver(Interrupt):
    """A handler whose call is over came for another step."""


class _Asked(NamedTuple):
    """A step that the handler waits for."""

    name: str
    call: Call
    answer: asyncio.Future[Any]


class _Ended(NamedTuple):
    """A step whose result the cluster has sent along."""

    asked: _Asked
    value: Any = None
    error: Exception | None = None

    def tell(self) -> None:
        """Let the handler go on with it."""
        if self.asked.answer.done():
            return
        if self.error is None:
            self.asked.answer.set_result(self.value)
        else:
            self.asked.answer.set_exception(self.error)


class Branches:
    """The branches of one handler in one call. `order`: hashed ids of the steps that have ended, in that order."""

    def __init__(self, group: Group, order: Sequence[str]) -> None:
        self._group = group
        self._order = {step: place for place, step in enumerate(order)}
        self._new: list[_Asked] = []
        self._open: list[_Asked] = []
        self._ended: list[_Ended] = []
        self._planned: list[tuple[_Asked, StepResponse]] = []
        self._changed = asyncio.Event()
        self._turns = _TURNS
        self._handler: asyncio.Task[Any] | None = None
        self._is_over = False
        self.replayed = 0
        """How many results of earlier calls the handler has seen."""

    async def take(self, name: str, call: Call) -> Any:
        """What the step comes to; this await never ends when the call does first."""
        if self._is_over:
            raise CallOver
        asked = _Asked(name, call, asyncio.get_running_loop().create_future())
        self._new.append(asked)
        self._turns = _TURNS if asyncio.current_task() is self._handler else _MOST_TURNS
        self._changed.set()
        return await asked.answer

    async def drive(self, handler: Coroutine[Any, Any, Any]) -> Any:
        """Run the handler as far as it goes in this call; returns what it returns.

        Raises:
            BaseException: the SDK's interrupt, which names the steps that come next; or what the handler raises.
        """
        self._handler = task = asyncio.create_task(_apart(handler))
        task.add_done_callback(lambda _: self._changed.set())
        try:
            await self._settled(task)
            while not task.done():
                await self._go_on()
                await self._settled(task)
            return task.result()
        finally:
            await self._close(task)

    async def _settled(self, task: asyncio.Task[Any]) -> None:
        """Wait until the handler has ended, or has nothing left to do but wait for steps."""
        while not task.done():
            self._changed.clear()
            for _ in range(self._turns):
                await asyncio.sleep(0)
                if self._changed.is_set():
                    break
            else:
                # A branch that was cancelled wants nothing any more.
                self._open = [asked for asked in self._open if not asked.answer.done()]
                if self._new or self._open:
                    return
                await self._changed.wait()

    async def _go_on(self) -> None:
        new, self._new = self._new, []
        if len(new) == 1 and not self._open:
            (await _alone(new[0])).tell()
            self._told()
            return
        for asked in new:
            self._open.append(asked)
            await self._beside(asked)
        if not self._ended:
            planned = [response for asked, response in self._planned if not asked.answer.done()]
            raise ResponseInterrupt(planned) if planned else SkipInterrupt(self._open[0].name)
        first = min(self._ended, key=self._place)
        self._ended.remove(first)
        if first.asked in self._open:
            self._open.remove(first.asked)
        first.tell()
        self._told()

    def _place(self, ended: _Ended) -> int:
        return self._order.get(hashed(ended.asked.name), len(self._order))

    def _told(self) -> None:
        self.replayed += 1
        self._turns = _MOST_TURNS
        self._changed.set()

    async def _beside(self, asked: _Asked) -> None:
        """Look a step up as one of several: its result is there, or it is planned, or it is not its turn."""

        async def look() -> _Ended:
            return await _alone(asked)

        try:
            found = await self._group.parallel((look,), inngest.ParallelMode.RACE)
        except ResponseInterrupt as interrupt:
            self._planned.extend((asked, response) for response in interrupt.responses)
        else:
            self._ended.extend(found)

    async def _close(self, task: asyncio.Task[Any]) -> None:
        self._is_over = True
        for asked in (*self._new, *self._open):
            asked.answer.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_LAST_WORDS)
        if task.done() and not task.cancelled():
            task.exception()  # what comes of being ended is no failure


def hashed(name: str) -> str:
    """A step's numbered id as the cluster knows it."""
    return sha1(name.encode(), usedforsecurity=False).hexdigest()


async def within(context: Context, body: Coroutine[Any, Any, Any]) -> Any:
    """A step's body where the handler asked for it: with the context variables that were set there."""
    return await asyncio.get_running_loop().create_task(_apart(body), context=context)


async def _alone(asked: _Asked) -> _Ended:
    """A step's result from an earlier call. A body that runs here ends the call by the SDK's interrupt."""
    try:
        return _Ended(asked, await asked.call())
    except inngest.RetryAfterError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the handler's
        return _Ended(asked, error=error)


async def _apart(body: Coroutine[Any, Any, Any]) -> Any:
    """In a task, SystemExit would end the loop instead."""
    try:
        return await body
    except SystemExit as left:
        raise RuntimeError(f"SystemExit: {left}") from left
