"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anthropic

from cdc.ai.access import Access
from cdc.ai.failures import Refusal
from cdc.ai.patience import retry_after
from cdc.ai.providers.wire import posted
from cdc.ai.streams import MESSAGES

_PATH = "/v1/messages"


class Anthropic:
    """`POST {base_url}/v1/messages`."""

    def __init__(self, client: anthropic.AsyncAnthropic) -> None:
        self._client = client

    @property
    def host(self) -> str:
        """Where it is, for messages."""
        return self._client.base_url.host

    async def ask(
        self, id: str, body: Mapping[str, Any], *, timeout: float, heard: Callable[[], None]
    ) -> dict[str, Any]:
        """The answer as Anthropic's JSON.

        Raises:
            Unanswered: there is no answer, or half of one.
            anthropic.APIError: the server says no.
        """
        return await posted(anthropic, self._client, _PATH, {**body, "model": id}, MESSAGES, timeout, heard)

    def refusal(self, error: Exception) -> Refusal | None:
        """What an exception of the package says."""
        if not isinstance(error, anthropic.APIError):
            return None
        if not isinstance(error, anthropic.APIStatusError):
            return Refusal(200, error.message)
        wait = retry_after(error.response.headers)
        return Refusal(error.status_code, error.message, wait, "credit" if error.type == "billing_error" else "")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def open_client(access: Access) -> Anthropic:
    """Anthropic, or the server at the base URL. Trying again is the engine's part."""
    # As many connections as there are calls: how many those may be is CDC_INFERENCES.
    limits = type(anthropic.DEFAULT_CONNECTION_LIMITS)
    http = anthropic.DefaultAsyncHttpxClient(limits=limits(max_keepalive_connections=100))
    key, url = access.key, access.base_url
    return Anthropic(anthropic.AsyncAnthropic(api_key=key, base_url=url, max_retries=0, http_client=http))
