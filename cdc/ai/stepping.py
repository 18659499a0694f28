"""What a step asks of a model, and what it makes of the answer: the same wherever the step is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from cdc.ai import models
from cdc.ai.call import Answer, Call
from cdc.ai.errors import OutputInvalid
from cdc.ai.infer import body_for, parsed
from cdc.errors import CdcError, NonRetriableError, StepError


def inference_request(
    step: str, model: str, body: Mapping[str, Any] | None, said: Mapping[str, Any], *, stream: bool
) -> dict[str, Any]:
    """The request as the provider wants it.

    Raises:
        NonRetriableError: it cannot be made of what was said.
    """
    given = {name: value for name, value in said.items() if value is not None}
    if body is not None and given:
        raise NonRetriableError(f"step {step!r}: a body is the whole request; it cannot come with {', '.join(given)}")
    streamed: dict[str, Any] = {"stream": True} if stream else {}
    try:
        if body is None:
            return body_for(model, **given, **streamed)
        models.parse(model)
    except CdcError as unusable:
        raise NonRetriableError(f"step {step!r}: {unusable.message} {unusable.hint}") from None
    return {**body, **streamed}


def fitting(step: str, model: str, text: str, output: type[BaseModel]) -> BaseModel:
    """An answer's text as the model that it must fit.

    Raises:
        StepError: it does not.
    """
    try:
        return parsed(Answer({}, text, Call("chat", "", model, 0.0)), output)
    except OutputInvalid as invalid:
        raise StepError(step, type(invalid).__name__, str(invalid)) from None
