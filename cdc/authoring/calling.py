"""How a function of an author's is called: on the event loop, or in a thread, where it may block."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any


async def call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float | None) -> Any:
    """Call a coroutine function here, a plain one in a thread, where it may block.

    Raises:
        TimeoutError: it took longer than `timeout` seconds.
    """
    if timeout is None:
        return await _call(fn, args, kwargs)
    try:
        async with asyncio.timeout(timeout) as limit:
            return await _call(fn, args, kwargs)
    except TimeoutError:
        if limit.expired():
            raise TimeoutError(f"it took longer than {timeout:g} s") from None
        raise


async def _call(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if inspect.iscoroutinefunction(fn):
        return await fn(*args, **kwargs)
    result = await asyncio.to_thread(fn, *args, **kwargs)
    if isinstance(result, Coroutine):
        return await result
    return result
