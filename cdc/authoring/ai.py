"""Steps that ask models of other people's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, overload

from pydantic import BaseModel

from cdc.clock import Duration

PATIENCE: Duration = "10m"
"""How long one call of a model may take when nothing else is said."""

T = TypeVar("T")
Output = TypeVar("Output", bound=BaseModel)


class AiSteps(Protocol):
    """`ctx.step.ai`: durable calls of models. Of each the tokens, the time and the cost are kept with the run."""

    @overload
    async def wrap(self, id: str, fn: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> T: ...

    @overload
    async def wrap(self, id: str, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T: ...

    @overload  # of the providers' packages, whose methods have overloads of their own
    async def wrap(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any: ...

    async def wrap(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call a provider's own method, `fn(*args, **kwargs)`, and memoise what it returns, as the same type.

        A stream is read to its end, and the step returns the whole answer. What it was given is kept as its input.

        Raises:
            StepError: the call failed on its last attempt.
        """
        ...

    @overload
    async def infer(
        self,
        id: str,
        /,
        *,
        model: str,
        body: Mapping[str, Any],
        timeout: Duration = PATIENCE,
        stream: bool = False,
    ) -> dict[str, Any]: ...

    @overload
    async def infer(
        self,
        id: str,
        /,
        *,
        model: str,
        prompt: str | None = None,
        system: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        output: type[Output],
        timeout: Duration = PATIENCE,
        stream: bool = False,
        **options: Any,
    ) -> Output: ...

    @overload
    async def infer(
        self,
        id: str,
        /,
        *,
        model: str,
        prompt: str | None = None,
        system: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        output: None = None,
        timeout: Duration = PATIENCE,
        stream: bool = False,
        **options: Any,
    ) -> str: ...

    async def infer(
        self,
        id: str,
        /,
        *,
        model: str,
        body: Mapping[str, Any] | None = None,
        prompt: str | None = None,
        system: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
        output: type[Any] | None = None,
        timeout: Duration = PATIENCE,
        stream: bool = False,
        **options: Any,
    ) -> Any:
        """Have the service ask `model`, such as `openai/gpt-4o`, while this run waits without holding memory.

        With `body`, the request as the provider's own JSON, returns the provider's JSON. With `prompt` or `messages`
        returns the text, or with a pydantic model as `output` an instance of it. `timeout` is that of one call;
        `options` go into the request.

        Raises:
            NonRetriableError: the model or the request is not usable.
            StepError: the call failed on its last attempt, or its answer did not fit `output`.
        """
        ...
