"""What is known of one call of a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; None where the provider does not say.

    `input_tokens` counts all of the input, `cached_tokens` the part of it that was read from a cache and
    `cache_write_tokens` the part that was written to one; `output_tokens` counts all of the output, `reasoning_tokens`
    the part of it that was thought and not said. (OpenAI and Gemini count so; Anthropic's numbers are brought to it.)
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model, answered or failed: what is kept of it, without what was said.

    `operation` is the name that OpenTelemetry gives it: chat, embeddings. `latency` and `first_token` are in seconds;
    `cost` in US dollars, None when the price is unknown. `error` is the class of what went wrong. `inputs` is the
    number of texts, for embeddings.
    """

    operation: str
    provider: str
    model: str
    latency: float
    usage: Usage = field(default_factory=Usage)
    response_model: str | None = None
    first_token: float | None = None
    streamed: bool = False
    cost: Decimal | None = None
    finish_reason: str | None = None
    error: str | None = None
    inputs: int | None = None

    def flat(self) -> dict[str, Any]:
        """All of it by name, the tokens among the rest."""
        known = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "usage"}
        return known | asdict(self.usage)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered: the provider's own JSON, and the text of it."""

    body: dict[str, Any]
    text: str
    call: Call
