"""Vectors over HTTP, from any of the vendors, and what their refusals mean."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import openai

from cdc.ai.access import Access
from cdc.ai.errors import InputRefused, ProviderRejected, ProviderUnavailable
from cdc.ai.patience import retry_after
from cdc.embedding.models import Model
from cdc.embedding.offers import limits
from cdc.embedding.providers import Answer
from cdc.embedding.providers.answers import Read
from cdc.embedding.providers.rates import rates
from cdc.embedding.providers.vendors import Vendor

_REFUSED = {400, 413, 422}
_LATER = {408, 409}
_LIMITED = {429, 503, 529}
_RETRY_DELAY = re.compile(r'"retryDelay":\s*"(\d+(?:\.\d+)?)s"')
"""Google's way to say retry-after."""

_NO_KEY = re.compile(r"API_KEY_INVALID|API key not valid")
"""Google's way to say 401."""


class Remote:
    """One model behind HTTP. Implements `Provider`.

    Raises:
        ConfigurationError: there is no key and no address.
    """

    concurrency = 8
    max_concurrency = 32

    def __init__(self, model: Model, vendor: Vendor, access: Access) -> None:
        self.max_inputs, self.max_tokens = limits(model.provider, model.id)
        self.tells_queries = vendor.tells_queries
        self._model = model
        self._vendor = vendor
        self._client = vendor.client(model, access)

    async def embed(self, texts: Sequence[str], *, query: bool = False) -> Answer:
        """One vector per text, in order.

        Raises:
            InputRefused: HTTP 400, 413 or 422 that speaks of the texts.
            ProviderUnavailable: no answer in time, or HTTP 408, 409, 429 and 5xx.
            ProviderRejected: any other answer: a wrong key, model or URL, no credit left.
        """
        try:
            # Not client.embeddings.create(), which looks at each vector twice: 0.03 ms of CPU a row against 0.05.
            response = await self._client.post(
                self._vendor.path,
                cast_to=openai.HttpxBinaryResponseContent,
                body=self._vendor.body(self._model, texts, query),
            )
        except openai.APIConnectionError as error:
            reason = "did not answer in time" if isinstance(error, openai.APITimeoutError) else "cannot be reached"
            raise ProviderUnavailable(f"The embedding provider at {self._host} {reason}.") from error
        except openai.APIStatusError as error:
            # Not chained: the provider's words may quote a text or a key, and a logged traceback would print them.
            raise self._translated(error, texts) from None
        read = self._read(response.content, len(texts))
        return Answer(read.vectors, read.tokens, read.model, rates(response.response.headers))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    @property
    def _host(self) -> str:
        return self._client.base_url.host

    def _read(self, body: bytes, count: int) -> Read:
        try:
            read = self._vendor.read(body)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._malformed("is not the JSON of an embeddings API") from error
        if len(read.vectors) != count:
            raise self._malformed(f"has {len(read.vectors)} vectors for {count} texts")
        requested = self._model.requested
        if requested is None:
            return read
        if len(read.vectors[0]) != requested:
            raise self._malformed(f"has vectors of {len(read.vectors[0])} dimensions, and {requested} were asked for")
        # A vector that was cut is not of length 1 with every provider, which inner products rely on.
        return read._replace(vectors=[vector / (np.linalg.norm(vector) or 1) for vector in read.vectors])

    def _malformed(self, what: str) -> ProviderRejected:
        return ProviderRejected(f"The answer of {self._host} {what}.", hint=f"Check {self._vendor.address}.")

    def _translated(self, error: openai.APIStatusError, texts: Sequence[str]) -> Exception:
        status = error.status_code
        if error.code == "insufficient_quota":
            hint = f"Look at the plan and the billing of the account behind {self._vendor.key}."
            return ProviderRejected(f"The account at {self._host} has no credit left (HTTP {status}).", hint=hint)
        if status in _LATER or status in _LIMITED or status >= 500:
            message = f"The embedding provider at {self._host} is busy or limits the rate (HTTP {status})."
            return ProviderUnavailable(message, retry_after=_patience(error), limited=status in _LIMITED)
        if status in (401, 403, 498) or (status == 400 and _NO_KEY.search(error.response.text)):
            hint = f"Set {self._vendor.key} to a key that may use {self._model.id}."
            return ProviderRejected(f"The key was refused by {self._host} (HTTP {status}).", hint=hint)
        if status in _REFUSED and not self._is_of_the_model(error):
            size = f"{len(texts)} texts" if len(texts) > 1 else "a text"
            message = f"{self._model.name} refused {size} of {sum(map(len, texts))} characters (HTTP {status})."
            return InputRefused(f"{message} It may be too long for this model.", detail=error.message)
        hint = f"Check the model's name, and {self._vendor.address} where that is set."
        return ProviderRejected(f"{self._host} cannot serve {self._model.name} (HTTP {status}).", hint=hint)

    def _is_of_the_model(self, error: openai.APIStatusError) -> bool:
        """Some servers say 400 where OpenAI says 404: no other text would help, and none must be blamed."""
        asked_too_much = self._model.requested is not None and "dimension" in error.message
        return error.param in ("model", "dimensions") or error.code == "model_not_found" or asked_too_much


def _patience(error: openai.APIStatusError) -> float | None:
    named = retry_after(error.response.headers)
    if named is None and (found := _RETRY_DELAY.search(error.response.text)):
        return float(found[1])
    return named
