"""Asking a model over its provider's own package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol

from cdc.ai.access import Access
from cdc.ai.failures import KEYS, URLS, Refusal
from cdc.errors import ConfigurationError


class Provider(Protocol):
    """One provider, with its connections."""

    @property
    def host(self) -> str:
        """Where it is, for messages."""
        ...

    async def ask(
        self, id: str, body: Mapping[str, Any], *, timeout: float, heard: Callable[[], None]
    ) -> dict[str, Any]:
        """The answer as the provider's JSON; `heard` is called when the first of a streamed one has come.

        Raises:
            Unanswered: there is no answer, or half of one.
            Exception: the package's own, of which `refusal` knows the meaning.
        """
        ...

    def refusal(self, error: Exception) -> Refusal | None:
        """What the package's exception says; None for one that is not the package's."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def open_provider(name: str, access: Access) -> Provider:
    """A provider, ready to be asked.

    Raises:
        ConfigurationError: its key or its package is missing.
    """
    if not access.key and not (name == "openai" and access.base_url):
        raise ConfigurationError(f"There is no key for {name}.", hint=f"Set {KEYS[name]}.")
    if name == "azure" and not access.base_url:
        raise ConfigurationError("Where Azure's models are is not known.", hint=f"Set {URLS[name]}.")
    module = "openai" if name == "azure" else name
    try:
        opens = import_module(f"cdc.ai.providers.{module}")
    except ModuleNotFoundError as missing:
        raise missing_package(module) from missing
    provider: Provider = opens.open_azure(access) if name == "azure" else opens.open_client(access)
    return provider


def missing_package(provider: str) -> ConfigurationError:
    """The error for a provider whose package is not installed."""
    extra = "" if provider == "openai" else f"[{provider}]"
    return ConfigurationError(
        f"The package that asks {provider} is not installed.", hint=f"Install it: pip install 'cdc{extra}'."
    )
