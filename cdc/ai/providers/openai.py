"""OpenAI's chat completions and responses, at OpenAI, at Azure, or at any server that speaks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import openai

from cdc.ai.access import Access
from cdc.ai.failures import Refusal
from cdc.ai.patience import retry_after
from cdc.ai.providers.wire import posted
from cdc.ai.streams import CHAT, RESPONSES

AZURE_VERSION = "2024-10-21"


class OpenAI:
    """`POST {base_url}/chat/completions`, or `/responses` for a body that has an `input`."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    @property
    def host(self) -> str:
        """Where it is, for messages."""
        return self._client.base_url.host

    async def ask(
        self, id: str, body: Mapping[str, Any], *, timeout: float, heard: Callable[[], None]
    ) -> dict[str, Any]:
        """The answer as OpenAI's JSON.

        Raises:
            Unanswered: there is no answer, or half of one.
            openai.APIError: the server says no.
        """
        path, form = ("/responses", RESPONSES) if "input" in body else ("/chat/completions", CHAT)
        request: dict[str, Any] = {**body, "model": id}
        if request.get("stream") and form is CHAT:
            request["stream_options"] = {"include_usage": True} | (request.get("stream_options") or {})
        return await posted(openai, self._client, path, request, form, timeout, heard)

    def refusal(self, error: Exception) -> Refusal | None:
        """What an exception of the package says."""
        if not isinstance(error, openai.APIError):
            return None
        about = ""
        if error.code == "insufficient_quota":
            about = "credit"
        elif error.param == "model" or error.code == "model_not_found":
            about = "model"
        if not isinstance(error, openai.APIStatusError):
            return Refusal(200, error.message, about=about)
        return Refusal(error.status_code, error.message, retry_after(error.response.headers), about)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def open_client(access: Access) -> OpenAI:
    """OpenAI, or the server at the address. Trying again is the engine's part."""
    # A server of the user's own may want no key; the client insists on one.
    key, http = access.key or "none", _unlimited()
    return OpenAI(openai.AsyncOpenAI(api_key=key, base_url=access.base_url, max_retries=0, http_client=http))


def open_azure(access: Access) -> OpenAI:
    """A resource of Azure OpenAI."""
    return OpenAI(
        openai.AsyncAzureOpenAI(
            api_key=access.key,
            azure_endpoint=access.base_url or "",
            api_version=access.version or AZURE_VERSION,
            max_retries=0,
            http_client=_unlimited(),
        )
    )


def _unlimited() -> openai.DefaultAsyncHttpxClient:
    """As many connections as there are calls: how many those may be is CDC_INFERENCES."""
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)
    return openai.DefaultAsyncHttpxClient(limits=limits(max_keepalive_connections=100))
