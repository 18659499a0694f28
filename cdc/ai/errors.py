"""What a provider's answer means for the run that asked it for vectors or for text.

| class               | the engine                    | the operator                                           |
|---------------------|-------------------------------|--------------------------------------------------------|
| InputRefused        | does not try again            | mends the row, the prompt or the chunk size            |
| ProviderUnavailable | tries again when it was told  | nothing                                                |
| ProviderRejected    | tries again every minute      | mends the key, the model's name, the URL or the package |

A row waits for its vector as long as it takes. A function waits for an answer as long as its `retries` say, so that
its author learns of a provider that stays away: `ModelUnavailable`, `ModelRejected` and `OutputInvalid` count as
attempts, and unless the provider named a time they are tried again when any other error would be.
"""

from __future__ import annotations

from cdc.ai.call import Call
from cdc.errors import NonRetriableError, RetryAfter

_PAUSE = 5.0
"""Seconds to wait for a provider that does not say when it will be back."""

_MEND = 60.0
"""Seconds between looks at whether the operator has mended a setting; no run is lost meanwhile."""


class InputRefused(NonRetriableError):
    """The provider will never take these inputs; of several, at least one is guilty.

    `detail` holds the provider's own words. They may quote the text, so they are no part of the message.
    """

    call: Call | None = None

    def __init__(self, message: str, *, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class ProviderUnavailable(RetryAfter):
    """The provider is out of reach, overloaded or limits our rate; it may take the same inputs later.

    `retry_after` is in seconds, None when the provider did not name a time. `limited` says that it is there, and
    takes fewer requests than it gets.
    """

    counts_as_attempt = False

    def __init__(self, message: str, *, retry_after: float | None = None, limited: bool = False) -> None:
        super().__init__(message, delay=_PAUSE if retry_after is None else retry_after)
        self.retry_after = retry_after
        self.limited = limited


class ProviderRejected(RetryAfter):
    """No input will be taken until somebody mends what `hint` names."""

    counts_as_attempt = False

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message} {hint}", delay=_MEND)
        self.message = message
        self.hint = hint


class ModelUnavailable(ProviderUnavailable):
    """A model did not answer a step: its provider is out of reach, overloaded or limits our rate, or broke off."""

    counts_as_attempt = True
    call: Call | None = None

    def __init__(self, message: str, *, retry_after: float | None = None, detail: str = "") -> None:
        super().__init__(message, retry_after=retry_after)
        self.delay = retry_after
        self.detail = detail


class ModelRejected(ProviderRejected):
    """No question of a step will be answered until somebody mends what `hint` names."""

    counts_as_attempt = True
    call: Call | None = None

    def __init__(self, message: str, *, hint: str, detail: str = "") -> None:
        super().__init__(message, hint=hint)
        self.delay = None
        self.detail = detail


class OutputInvalid(RetryAfter):
    """A model's answer does not fit the model class that was asked for; the next one may.

    The message names the fields and what is wrong with them, never what the model said.
    """

    call: Call | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message, delay=None)
