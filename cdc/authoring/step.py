"""The steps a handler may take. Every method takes the step's id first; a repeated id is numbered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from cdc.authoring.ai import AiSteps
from cdc.authoring.event import Event
from cdc.clock import Duration

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from cdc.authoring.function import Function

DEFAULT_TIMEOUT = 365 * 86400.0
"""Seconds that an invoked run may take when nothing else is said."""

P = ParamSpec("P")
T = TypeVar("T")


class Step(Protocol):
    """Durable steps: a result, once recorded, is never computed again.

    A step cannot be taken within another step's body: that raises `NonRetriableError`.
    """

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

    @property
    def ai(self) -> AiSteps:
        """Steps that ask models."""
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

    async def wait_for_event(
        self, id: str, event: str, timeout: Duration, *, if_exp: str | None = None, match: str | None = None
    ) -> Event | None:
        """The first event of this name that is accepted from now on, or None when `timeout` is over.

        `if_exp` (CEL) compares it, as `async`, with the run's own `event`; `match="data.user_id"` is short for that
        field being equal in both. A waiting run holds no memory.

        Raises:
            NonRetriableError: the expression is not usable, or the event's name is a pattern or that of ends of runs.
        """
        ...

    async def invoke(
        self,
        id: str,
        function: Function | str,
        data: dict[str, Any] | None = None,
        timeout: Duration = DEFAULT_TIMEOUT,
    ) -> Any:
        """Run another function with this data, and return what it returns.

        Raises:
            StepError: it failed, was cancelled, is unknown, or took longer than `timeout`.
        """
        ...

    async def wait_for_signal(self, id: str, signal: str, timeout: Duration) -> Any:
        """The data of the next signal of this name, or None when `timeout` is over. One run at a time waits for it.

        Raises:
            StepError: another step waits for this signal already.
        """
        ...

    async def send_signal(self, id: str, signal: str, data: dict[str, Any] | None = None) -> None:
        """Wake the run that waits for this signal; without one nothing happens. Exactly once, like `send_event`."""
        ...

    async def transaction(self, id: str, fn: Callable[[AsyncConnection[tuple[Any, ...]]], Awaitable[T]], /) -> T:
        """Run `fn(connection)` in a transaction of the watched database that records this step, too: exactly once.

        Whatever `fn` writes over the connection is there if and only if the step is recorded. It must not commit.

        Raises:
            StepError: the body failed on its last attempt; or at once, because the service's state lives in another
                database, so that one commit cannot span both.
        """
        ...

    def within(self, timeout: Duration, /) -> Step:
        """The same steps, where a body of `run` or `transaction` that takes longer than `timeout` has failed.

        A plain function goes on in its thread, which cannot be stopped; what it returns is dropped.
        """
        ...
