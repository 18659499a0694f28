"""The models that a cluster asks of its own accord."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from inngest.experimental.ai import anthropic, gemini, openai
from inngest.experimental.ai.base import BaseAdapter

from cdc.ai.access import Access
from cdc.ai.models import parse


class _New(Protocol):
    def __call__(self, *, auth_key: str, model: str) -> BaseAdapter: ...


_ADAPTERS: Mapping[str, _New] = {
    "openai": openai.Adapter,
    "anthropic": anthropic.Adapter,
    "gemini": gemini.Adapter,
}


def adapter_for(model: str, access: Mapping[str, Access]) -> Any:
    """What the SDK needs to have a model asked; None when the cluster cannot: a server of one's own, Azure, no key.

    With it the provider's key goes to the cluster.
    """
    asked = parse(model)
    known = access.get(asked.provider, Access())
    new = _ADAPTERS.get(asked.provider)
    if new is None or known.key is None or known.base_url is not None:
        return None
    return new(auth_key=known.key, model=asked.id)
