"""What becomes of a question that was not answered: HTTP's words in those of `cdc.ai.errors`."""

from __future__ import annotations

from typing import NamedTuple

from cdc.ai.errors import InputRefused, ModelRejected, ModelUnavailable
from cdc.ai.models import ChatModel

_REFUSED = {400, 413, 422}
_LATER = {408, 409, 429}

KEYS = {
    "openai": "OPENAI_API_KEY",
    "azure": "AZURE_OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "gemini": "GOOGLE_GENERATIVE_AI_API_KEY or GEMINI_API_KEY",
}
URLS = {
    "openai": "OPENAI_BASE_URL",
    "azure": "AZURE_OPENAI_ENDPOINT",
    "anthropic": "ANTHROPIC_BASE_URL",
    "gemini": "GEMINI_BASE_URL",
}


class Refusal(NamedTuple):
    """An HTTP answer that is none: `about` is "key", "model", "credit" or "" for what the provider finds wrong."""

    status: int
    detail: str
    wait: float | None = None
    about: str = ""


class Unanswered(Exception):
    """No answer, or half of one; `reason` completes a sentence that begins with the host."""

    def __init__(self, reason: str, *, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def unavailable(host: str, unanswered: Unanswered) -> ModelUnavailable:
    """The error for an answer that did not come, or not whole."""
    return ModelUnavailable(f"The model's provider at {host} {unanswered.reason}.", detail=unanswered.detail)


def refused(model: ChatModel, host: str, refusal: Refusal) -> Exception:
    """The error for an answer that says no."""
    status, detail = refusal.status, refusal.detail
    key = KEYS[model.provider]
    if refusal.about == "credit" or status == 402:
        hint = f"Look at the plan and the billing of the account behind {key}."
        return ModelRejected(f"The account at {host} has no credit left (HTTP {status}).", hint=hint, detail=detail)
    if refusal.about == "key" or status in (401, 403):
        hint = f"Set {key} to a key that may use {model.id}."
        return ModelRejected(f"The key was refused by {host} (HTTP {status}).", hint=hint, detail=detail)
    # An error that comes in the middle of a stream has the status of its beginning.
    if status in _LATER or status >= 500 or status < 400:
        message = f"The model's provider at {host} is busy, in trouble or limits the rate (HTTP {status})."
        return ModelUnavailable(message, retry_after=refusal.wait, detail=detail)
    # Some servers say 400 where others say 404: no other prompt would help, and none must be blamed.
    if status in _REFUSED and refusal.about != "model":
        message = f"{model.name} refused the request (HTTP {status}). The prompt may be too long, or an option wrong."
        return InputRefused(message, detail=detail)
    hint = f"Check the model's name, and {URLS[model.provider]} where that is set."
    return ModelRejected(f"{host} cannot serve {model.id} (HTTP {status}).", hint=hint, detail=detail)
