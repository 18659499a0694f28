"""What an app's run needs of the engine: the steps that `cdc.engine` takes for it, said here because neither imports
the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from cdc.ai.call import Call as ModelCall
from cdc.authoring.event import Event
from cdc.clock import Duration
from cdc.remote.call import App, Caller
from cdc.store.runs import Memo

Execute = Callable[[int], Awaitable[tuple[Any, float, ModelCall | None]]]
"""Has a step executed, given the number of its failed attempts: its result, how many seconds that took, and the call of
a model that it was, if any.
"""


class Elsewhere(AbstractContextManager[None], Protocol):
    """Steps whose bodies run elsewhere. While it is entered, the run is not suspended."""

    @property
    def claim(self) -> str:
        """The worker and the claim that hold the run."""
        ...

    @property
    def memos(self) -> Mapping[str, Memo]:
        """What was recorded when this execution began; steps that ended in the order in which they did."""
        ...

    async def reread(self) -> Mapping[str, Memo]:
        """What is recorded by now."""
        ...

    def may_defer(self) -> None:
        """What the run defers may be recorded while its app is called: it is looked for when the run ends."""
        ...

    async def defer(self, kept: Sequence[tuple[str, str, str]]) -> None:
        """Record what the run defers until its end, or takes back: key, kind and JSON; durable on return."""
        ...

    def starts_over(self) -> None:
        """The function came further: its attempts count from the first again."""
        ...

    def traceparent(self, key: str) -> str | None:
        """The trace of a call."""
        ...

    async def wait_on(self, key: str) -> None:
        """Wait for what a step waits for by its record; returns only when that is a sleep that is over."""
        ...

    async def take(self, key: str, kind: str, execute: Execute, given: Any = None) -> Any:
        """The result of a step that `execute` has executed, recorded. `given` is its input.

        Raises:
            StepError: it failed on its last attempt.
        """
        ...


class Driven(Protocol):
    """The steps of a run, as `cdc.engine` takes them."""

    @property
    def elsewhere(self) -> Elsewhere:
        """For those whose bodies run elsewhere."""
        ...

    async def sleep(self, id: str, duration: Duration, /) -> None:
        """See `cdc.Step`."""
        ...

    async def wait_for_event(
        self, id: str, event: str, timeout: Duration, *, if_exp: str | None = None, match: str | None = None
    ) -> Event | None:
        """See `cdc.Step`."""
        ...

    async def wait_for_signal(self, id: str, signal: str, timeout: Duration) -> Any:
        """See `cdc.Step`."""
        ...

    async def invoke(self, id: str, function: str, data: dict[str, Any] | None = None, timeout: Duration = ...) -> Any:
        """See `cdc.Step`."""
        ...


class Surroundings(Protocol):
    """What a conversation needs besides its run."""

    caller: Caller

    async def infer(self, opts: Mapping[str, Any]) -> tuple[Any, ModelCall]:
        """Ask a model as an SDK describes it."""
        ...

    async def fetch(self, opts: Mapping[str, Any]) -> Any:
        """Make a request as an SDK describes it."""
        ...

    def call_in(self, result: Any) -> ModelCall | None:
        """The call of a model that a result tells of."""
        ...

    def now(self) -> float:
        """Seconds since 1970."""
        ...

    def resolved(self, function_id: str) -> str:
        """The function that goes by this id."""
        ...

    def patience(self, app: App) -> float:
        """Seconds to wait before an app is called again that did not get a call."""
        ...
