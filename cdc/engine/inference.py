"""One call of a model for a step that waits, and what it comes to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from cdc.ai.call import Answer, Call
from cdc.ai.classes import loaded
from cdc.ai.infer import parsed
from cdc.engine import backoff, memo
from cdc.errors import NonRetriableError, RetryAfter
from cdc.store.ai_calls import CallRecord
from cdc.store.inferences import AnswerRecord, Inference

log = structlog.get_logger(__name__)


class Models(Protocol):
    """What can be asked: `cdc.ai.infer.Models`."""

    async def infer(self, model: str, body: Mapping[str, Any], *, timeout: float) -> Answer:
        """The answer to a body in the provider's own form, within `timeout` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """What a call came to, as it is recorded."""

    asked: Asked
    record: AnswerRecord
    call: CallRecord

    def refused(self, error: BaseException) -> Answered:
        """The same where the database cannot store the answer, which no other attempt is blamed for."""
        refusal = NonRetriableError(f"the answer cannot be stored: {str(error).strip()}")
        call = self.call._replace(response_model=None, finish_reason=None, error=type(refusal).__name__)
        return Answered(self.asked, self.asked.after(refusal, self.record.took), call)


@dataclass(frozen=True, slots=True)
class Asked:
    """An inference that is under way; `now` tells the seconds since 1970."""

    inference: Inference
    models: Models
    now: Callable[[], float]

    async def answer(self) -> Answered:
        """Ask, once."""
        inference = self.inference
        began = time.monotonic()
        call: Call | None = None
        try:
            answer = await self.models.infer(inference.model, inference.request, timeout=inference.timeout)
            call = answer.call
            # One that is made inside a function cannot be found, and its step looks itself.
            if (output := loaded(inference.output or "")) is not None:
                parsed(answer, output)
            data = memo.dump(
                f"the answer of step {inference.step_id!r}", answer.body if inference.whole else answer.text
            )
        except Exception as error:  # noqa: BLE001 - whatever a provider's package raises is this step's
            call = call or getattr(error, "call", None)
            call = call or Call("chat", *_provider(inference.model), time.monotonic() - began)
            return Answered(
                self,
                self.after(error, time.monotonic() - began),
                self._record(replace(call, error=type(error).__name__)),
            )
        took = time.monotonic() - began
        record = AnswerRecord(*self._key, inference.attempts + 1, data, None, None, took)
        return Answered(self, record, self._record(call))

    def after(self, error: BaseException, took: float) -> AnswerRecord:
        """What becomes of the step after a call that failed in `took` seconds: another attempt, or its end."""
        inference = self.inference
        counts = not isinstance(error, RetryAfter) or error.counts_as_attempt
        attempts = inference.attempts + counts
        due_in: float | None = None
        if not isinstance(error, NonRetriableError) and attempts <= inference.retries:
            due_in = backoff.delay_for(error, max(1, attempts), self.now)
        stored = memo.error_of(error)
        told = {"run": inference.run_id, "step": inference.step_id, "model": inference.model, "error": stored.name}
        if due_in is None:
            log.warning("inference failed", **told)
        else:
            log.warning("inference is tried again", **told, seconds=due_in)
        return AnswerRecord(*self._key, attempts, None, stored.json, due_in, took)

    def _record(self, call: Call) -> CallRecord:
        return call_record(call, *self.inference.key, self.inference.calls + 1, self.inference.function_id)

    @property
    def _key(self) -> tuple[str, str, int]:
        return (*self.inference.key, self.inference.claims)


def call_record(call: Call, run_id: str, step_id: str, attempt: int, function_id: str) -> CallRecord:
    """A call as it is recorded of a step."""
    return CallRecord(**call.flat(), run_id=run_id, step_id=step_id, attempt=attempt, function_id=function_id)


def _provider(model: str) -> tuple[str, str]:
    provider, _, name = model.partition("/")
    return provider, name or model
