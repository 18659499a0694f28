"""The steps a handler may take. Every method takes the step's id first; a repeated id is numbered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from cdc.authoring.event import Event
from cdc.clock import Duration

P = ParamSpec("P")
T = TypeVar("T")


class Step(Protocol):
    """Durable steps: a result, once recorded, is never computed again."""

    @overload
    async def run(self, id: str, fn: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    @overload
    async def run(self, id: str, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...

    async def run(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run `fn(*args, **kwargs)` and memoise what it returns.

        A coroutine function runs on the event loop, a plain one in a thread. The result must be JSON; pydantic
        models and dataclasses are dumped, and loaded again when the function's return annotation names them.

        Raises:
            StepError: the body failed on its last attempt.
        """
        ...

    async def send_event(self, id: str, events: Event | Sequence[Event], /) -> list[str]:
        """Send one event or several, in the same commit as this step's record: exactly once. Returns their ids.

        Raises:
            NonRetriableError: a name is taken (`db/`, `inngest/`) or empty, or the data is not JSON.
        """
        ...

    async def sleep(self, id: str, duration: Duration, /) -> None:
        """Go on after `duration`: "3d", "1h30m", seconds or a timedelta. A sleeping run holds no memory."""
        ...

    async def sleep_until(self, id: str, when: datetime, /) -> None:
        """Go on at `when`, which must carry a time zone."""
        ...
