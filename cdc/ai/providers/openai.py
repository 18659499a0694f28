"""OpenAI's chat completions and responses, or any server that speaks them behind a base URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import httpx2
import openai
import orjson

from cdc.ai.access import Access
from cdc.ai.failures import Refusal, Unanswered
from cdc.ai.patience import retry_after
from cdc.ai.providers.wire import captured
from cdc.ai.streams import CHAT, RESPONSES


class OpenAI:
    """`POST {base_url}/chat/completions`, or `/responses` for a body that has an `input`."""

    def __init__(self, access: Access) -> None:
        # A server of the user's own may want no key; the client insists on one. Trying again is the engine's part.
        self._client = openai.AsyncOpenAI(api_key=access.key or "none", base_url=access.base_url, max_retries=0)

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
            openai.APIStatusError, openai.APIError: the server says no.
        """
        path, form = ("/responses", RESPONSES) if "input" in body else ("/chat/completions", CHAT)
        request: dict[str, Any] = {**body, "model": id}
        try:
            # Below the methods with typed parameters: they refuse what is newer than the package.
            if request.get("stream"):
                if form is CHAT:
                    request["stream_options"] = {"include_usage": True} | (request.get("stream_options") or {})
                chunks = await self._client.post(
                    path,
                    cast_to=object,
                    body=request,
                    options={"timeout": timeout},
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                )
                return await captured(cast("AsyncIterator[Mapping[str, Any]]", chunks), form, heard)
            answer = await self._client.post(path, cast_to=bytes, body=request, options={"timeout": timeout})
        except openai.APITimeoutError:
            raise Unanswered("did not answer in time") from None
        except (openai.APIConnectionError, httpx2.HTTPError):
            raise Unanswered("cannot be reached, or broke off") from None
        return cast("dict[str, Any]", orjson.loads(answer))

    def refusal(self, error: Exception) -> Refusal | None:
        """What an exception of the package says."""
        if not isinstance(error, openai.APIError):
            return None
        about = ""
        if error.code == "insufficient_quota":
            about = "credit"
        elif error.param == "model" or error.code == "model_not_found":
            about = "model"
        response = error.response if isinstance(error, openai.APIStatusError) else None
        if response is None:
            return Refusal(200, error.message, about=about)
        return Refusal(response.status_code, error.message, retry_after(response.headers), about)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


open_client = OpenAI
