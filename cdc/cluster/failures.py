"""Errors on their way between handlers, which know ours, and the SDK, which knows its own."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import inngest

from cdc.clock import due_in
from cdc.errors import EventUnfit, NonRetriableError, RetryAfter, StepError


def of_step(name: str, error: Exception) -> Exception:
    """What a handler sees of a step that did not succeed."""
    if isinstance(error, inngest.StepError):
        return StepError(name, error.name, error.message)
    return error


def final(error: BaseException) -> inngest.StepError:
    """An error after which nothing is tried again, with its own name; of a step, its handler may catch it."""
    stack = "".join(traceback.format_exception(error))
    return inngest.StepError(str(error), type(error).__name__, stack)


def raised_by_body(error: Exception, *, is_last: bool) -> NoReturn:
    """Raise what a step's body raised, as the SDK understands it.

    What names its own time goes past the step to the call, which is made again then; on the last attempt it is the
    step's own error, so that the handler may catch it.
    """
    if is_final(error):
        raise final(error) from error
    if isinstance(error, RetryAfter) and error.delay is not None and not is_last:
        raise _later(error) from error
    raise error


def raised_by_handler(error: BaseException) -> NoReturn:
    """Raise what a handler raised, as the SDK understands it."""
    if is_final(error):
        raise final(error) from error
    if isinstance(error, RetryAfter) and error.delay is not None:
        raise _later(error) from error
    raise error


def is_final(error: BaseException) -> bool:
    """Whether trying again would not help; several branches of a task group may say so together."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_final, error.exceptions))
    return isinstance(error, NonRetriableError | StepError | EventUnfit)


def _later(error: RetryAfter) -> Exception:
    try:
        seconds = due_in(error.delay)
    except ValueError as unusable:
        return final(unusable)
    return inngest.RetryAfterError(str(error), datetime.now(UTC) + timedelta(seconds=seconds))
