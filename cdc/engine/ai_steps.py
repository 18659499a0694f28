"""Steps that ask models: calls that are made here and recorded, and inferences, for which the run waits elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from cdc import faults
from cdc.ai.call import Call
from cdc.ai.classes import name_of
from cdc.ai.stepping import fitting, inference_request
from cdc.authoring.ai import PATIENCE
from cdc.clock import Duration, seconds
from cdc.engine import bodies, inputs, memo, wrapped
from cdc.engine.inference import call_record
from cdc.engine.suspension import Until
from cdc.errors import NonRetriableError
from cdc.store.inferences import Beside, InferenceRecord
from cdc.store.journal import StepRecord

if TYPE_CHECKING:
    from cdc.engine.steps import LiveSteps, Taken

_FOR_EVER = 365 * 86400.0
"""Seconds; an inference that is answered wakes its run, and one that is not is tried as often as its retries say."""


class Aside(NamedTuple):
    """What is known of a failed attempt besides its error: what is kept, and for how many seconds to wait at least."""

    beside: Beside
    pause: float | None


@dataclass(frozen=True, slots=True)
class LiveAiSteps:
    """Implements `cdc.authoring.ai.AiSteps` for one run that is in memory."""

    steps: LiveSteps

    def __post_init__(self) -> None:
        self.steps.suspension.asked = True

    async def wrap(self, id: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """See `AiSteps.wrap`."""
        steps = self.steps
        given = inputs.arguments(args, kwargs) if steps.keeps_content else None

        def beside(step: Taken, call: Call) -> Beside:
            record = call_record(call, steps.run_id, step.key, step.attempt, steps.function_id)
            return Beside(steps.run_id, step.key, given, record)

        async def body(step: Taken) -> str:
            arguments = step.arguments(args, kwargs)
            captured, call = await bodies.call(wrapped.whole, (fn, *arguments), {}, steps.timeout)
            document = wrapped.dump(step.key, captured.result)
            faults.point("step.ran")
            good = StepRecord(
                steps.run_id, step.key, "wrap", step.attempt, document, took=call.latency, ended=True, kept=step.kept
            )
            await steps.record(good, beside=[beside(step, call)])
            return document

        def failed(step: Taken, error: BaseException, took: float) -> Aside:
            call = wrapped.failed(error, fn, kwargs, took)
            return Aside(beside(step, call), wrapped.asked_to_wait(error))

        return await steps.memoised(id, body, partial(wrapped.loaded, fn=fn), kind="wrap", failed=failed)

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
        """See `AiSteps.infer`."""
        steps = self.steps
        key, recorded = steps.begun(id, "infer")
        if recorded is not None and recorded.ended:
            return _read(key, model, memo.result(key, recorded), output)
        if recorded is None or recorded.edit is not None:
            said = {"prompt": prompt, "system": system, "messages": messages, "output": output, **options}
            if recorded is None:
                request = inference_request(key, model, body, said, stream=stream)
            else:
                model, request = _changed(key, recorded.edit)
            inference = InferenceRecord(
                steps.run_id,
                key,
                steps.function_id,
                model,
                memo.dump(f"the request of step {key!r}", request),
                body is not None,
                name_of(output) if output is not None else None,
                steps.retries,
                _limit(key, timeout),
            )
            self._ask(inference)
        return await steps.wait(Until("waiting", _FOR_EVER))

    def _ask(self, inference: InferenceRecord) -> None:
        """In the commit of the suspension."""
        steps, key = self.steps, inference.step_id
        given = None
        if steps.keeps_content:
            given = f'{{"model":{memo.dump("the name of a model", inference.model)},"body":{inference.request}}}'
        steps.suspension.unwritten.steps.append(StepRecord(steps.run_id, key, "infer"))
        steps.suspension.unwritten.beside.append(Beside(steps.run_id, key, given, inference=inference))


def _changed(key: str, edit: Any) -> tuple[str, dict[str, Any]]:
    """The model and the request that somebody gave in place of those of the code.

    Raises:
        NonRetriableError: they cannot be used.
    """
    form = '{"model": "<provider>/<name>", "body": {...}}'
    given = inputs.checked(key, edit, dict, form)
    model = inputs.checked(key, given.get("model"), str, form)
    return model, inference_request(key, model, inputs.checked(key, given.get("body"), dict, form), {}, stream=False)


def _read(key: str, model: str, recorded: Any, output: type[BaseModel] | None) -> Any:
    """What the handler sees of an answer."""
    if output is None or not isinstance(recorded, str):
        return recorded
    return fitting(key, model, recorded, output)


def _limit(key: str, timeout: Duration) -> float:
    try:
        return seconds(timeout)
    except ValueError as unusable:
        raise NonRetriableError(f"step {key!r}: {unusable}") from None
