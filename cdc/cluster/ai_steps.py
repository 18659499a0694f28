"""`cdc.Step.ai` over the steps of Inngest's SDK."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from cdc.ai import observe, reading
from cdc.ai.infer import Models
from cdc.ai.stepping import fitting, inference_request
from cdc.authoring.ai import PATIENCE
from cdc.authoring.calling import call
from cdc.authoring.declared import typed
from cdc.clock import Duration, seconds
from cdc.cluster.adapters import adapter_for

if TYPE_CHECKING:
    from cdc.cluster.steps import ClusterSteps


@dataclass(frozen=True, slots=True)
class ClusterAiSteps:
    """Implements `cdc.authoring.ai.AiSteps` for one call of the cluster."""

    steps: ClusterSteps
    models: Models

    async def wrap(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `AiSteps.wrap`."""

        async def body(_: str) -> Any:
            began = time.perf_counter()
            returned = await call(fn, args, kwargs, self.steps.timeout)
            captured = await observe.captured(returned, began)
            kept = observe.dump(captured.result)
            return captured.result if kept is None else kept

        value = await self.steps.taken(id, body)
        restored = observe.restore(value)
        return typed(value, fn) if restored is value else restored

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
        output: type[BaseModel] | None = None,
        timeout: Duration = PATIENCE,
        stream: bool = False,
        **options: Any,
    ) -> Any:
        """See `AiSteps.infer`.

        The cluster asks a provider of its own accord (`step.ai.infer` there), so that nothing waits here. It cannot
        stream, nor reach a server of one's own: then, the step's body asks.
        """
        said = {"prompt": prompt, "system": system, "messages": messages, "output": output, **options}
        request = inference_request(id, model, body, said, stream=stream)
        adapter = None if stream else adapter_for(model, self.models.access)
        if adapter is None:
            answer = await self._asked_here(id, model, request, seconds(timeout))
        else:
            answer = await self.steps.inferred(id, adapter, request)
        if body is not None:
            return answer
        found = reading.read(answer)
        text = found.text if found else ""
        return text if output is None else fitting(id, model, text, output)

    async def _asked_here(self, id: str, model: str, request: Mapping[str, Any], timeout: float) -> Any:
        async def ask(_: str) -> Any:
            return (await self.models.infer(model, request, timeout=timeout)).body

        return await self.steps.taken(id, ask)
