"""Which model of which provider a name means."""

from __future__ import annotations

from typing import NamedTuple

from cdc.errors import ConfigurationError

_PROVIDERS = {
    "openai": "openai",
    "azure": "azure",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "google": "gemini",
}


class ChatModel(NamedTuple):
    """A model that answers in words. `name` is what a function writes, `id` what the provider calls it."""

    name: str
    provider: str
    id: str


def parse(name: str) -> ChatModel:
    """The model of a name such as `openai/gpt-4o`, `anthropic/claude-sonnet-5-5` or `gemini/gemini-2.5-flash`.

    Raises:
        ConfigurationError: no provider is named, or one that cannot be asked.
    """
    provider, _, id_ = name.partition("/")
    if provider not in _PROVIDERS or not id_:
        raise ConfigurationError(
            f"{name!r} names no model that can be asked.",
            hint="Write openai/<model>, anthropic/<model>, gemini/<model> or azure/<deployment>; the models of any "
            "server that speaks OpenAI's API are openai/<model>, with its address in OPENAI_BASE_URL.",
        )
    return ChatModel(f"{_PROVIDERS[provider]}/{id_}", _PROVIDERS[provider], id_)
