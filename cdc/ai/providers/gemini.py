"""Gemini's `generateContent`.

A body is the API's JSON (`contents`, `generationConfig`, `systemInstruction`, `tools` ...), or the package's own
`contents` and `config`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
from google import genai
from google.genai import errors, types
from pydantic import BaseModel, ValidationError

from cdc.ai.access import Access
from cdc.ai.errors import InputRefused
from cdc.ai.failures import Refusal, Unanswered
from cdc.ai.patience import retry_after
from cdc.ai.providers.wire import NO_ANSWER, captured, is_broken
from cdc.ai.streams import CONTENT

_ADDRESS = "https://generativelanguage.googleapis.com"
_BESIDE = ("config", "contents", "generationConfig", "model", "stream")
_OURS = {"sdk_http_response", "parsed", "automatic_function_calling_history"}
"""What the package adds to an answer."""


class _Contents(BaseModel):
    """For the name in messages."""

    contents: str | types.Content | list[types.Content | str]


class Gemini:
    """`POST {base_url}/v1/models/<model>:generateContent`, or `:streamGenerateContent`."""

    def __init__(self, access: Access) -> None:
        address = access.base_url or _ADDRESS
        self.host = urlsplit(address).hostname or address
        # Without options for it, the package tries nothing again: that is the engine's part.
        # As many connections as there are calls: how many those may be is CDC_INFERENCES.
        limits = httpx.Limits(max_keepalive_connections=100)
        # With a transport of ours the package does not take aiohttp where that is installed, which it uses another way.
        client = {"transport": httpx.AsyncHTTPTransport(limits=limits)}
        options = types.HttpOptions(base_url=access.base_url, async_client_args=client)
        self._client = genai.Client(vertexai=False, api_key=access.key, http_options=options)

    async def ask(
        self, id: str, body: Mapping[str, Any], *, timeout: float, heard: Callable[[], None]
    ) -> dict[str, Any]:
        """The answer as Gemini's JSON.

        Raises:
            InputRefused: the body is none that the package knows.
            Unanswered: there is no answer, or half of one.
            errors.APIError: the server says no.
        """
        contents, config = _read(body, timeout)
        models = self._client.aio.models
        try:
            if not body.get("stream"):
                return _document(await models.generate_content(model=id, contents=contents, config=config))
            chunks = await models.generate_content_stream(model=id, contents=contents, config=config)
            return await captured(_documents(chunks), CONTENT, heard)
        except (errors.UnknownApiResponseError, ValidationError) as error:
            raise Unanswered(NO_ANSWER) from error
        except Exception as error:
            if not is_broken(error):
                raise
            raise Unanswered("cannot be reached, did not answer in time, or broke off") from None

    def refusal(self, error: Exception) -> Refusal | None:
        """What an exception of the package says."""
        if not isinstance(error, errors.APIError):
            return None
        # In a stream the code is whatever the server wrote there.
        code: object = error.code
        status = code if isinstance(code, int) else 200
        headers = getattr(error.response, "headers", None) or {}
        told = _details(error.details)
        wait = retry_after(headers)
        return Refusal(
            status,
            str(error.message),
            _delay(told) if wait is None else wait,
            "key" if any(detail.get("reason") == "API_KEY_INVALID" for detail in told) else "",
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aio.aclose()
        self._client.close()


open_client = Gemini


def _read(body: Mapping[str, Any], timeout: float) -> tuple[Any, types.GenerateContentConfig]:
    """Contents and config; the package has in one object what the API has in several.

    Raises:
        InputRefused: there is something in it that the package does not know; nothing was sent.
    """
    given = {name: value for name, value in body.items() if name not in _BESIDE}
    given |= {**(body.get("generationConfig") or {}), **(body.get("config") or {})}
    try:
        contents = _Contents.model_validate({"contents": body.get("contents")}).contents
        config = types.GenerateContentConfig.model_validate(given)
    except ValidationError as invalid:
        # Without the values, which may be of the prompt.
        errors = invalid.errors(include_input=False, include_url=False, include_context=False)[:5]
        fields = ", ".join(".".join(map(str, error["loc"])) for error in errors)
        raise InputRefused(f"The body for Gemini has what its package does not take: {fields}.") from None
    config.http_options = types.HttpOptions(timeout=int(timeout * 1000))
    return contents, config


async def _documents(chunks: AsyncIterator[types.GenerateContentResponse]) -> AsyncIterator[dict[str, Any]]:
    async for chunk in chunks:
        yield _document(chunk)


def _document(answer: types.GenerateContentResponse) -> dict[str, Any]:
    return answer.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=_OURS)


def _details(document: Any) -> list[dict[str, Any]]:
    error = document.get("error") if isinstance(document, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    return [detail for detail in details or [] if isinstance(detail, dict)]


def _delay(details: list[dict[str, Any]]) -> float | None:
    """What `google.rpc.RetryInfo` says, such as 7s or 0.5s."""
    for detail in details:
        if match := re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay"))):
            return float(match[1])
    return None
