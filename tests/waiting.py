"""Waiting for something to become true; no test sleeps for a fixed time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], *, within: float = ..., what: str = ...) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], *, within: float = ..., what: str = ...) -> T: ...
async def eventually(predicate: Callable[[], Any], *, within: float = 60.0, what: str = "") -> Any:
    """Call the predicate until what it returns (or what that awaits to) is true, and return it.

    An AssertionError inside counts as not yet, so a predicate may assert. `within` is in seconds: long enough for a
    machine that stands still for a while, since it costs nothing where all is well.

    Raises:
        AssertionError: it did not come true; says what was waited for, and what came last.
    """
    deadline = time.monotonic() + within
    pause = 0.005
    while True:
        last: object
        try:
            last = predicate()
            if inspect.isawaitable(last):
                last = await last
            if last:
                return last
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what or _text(predicate)}\nit gave last: {last!r}")
        await asyncio.sleep(pause)
        pause = min(pause * 2, 0.1)


def _text(predicate: Callable[[], object]) -> str:
    try:
        return inspect.getsource(predicate).strip()
    except (OSError, TypeError):
        return repr(predicate)
