"""OpenAI's embeddings API, or any server that speaks it behind a base URL."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Sequence
from operator import itemgetter

import numpy as np
import openai
import orjson

from cdc.ai.errors import InputRefused, ProviderRejected, ProviderUnavailable
from cdc.ai.patience import retry_after
from cdc.embedding.models import Model
from cdc.embedding.providers import Vector

TIMEOUT = 60.0
"""Seconds to wait for a connection, and then for each further piece of the answer."""

_REFUSED = {400, 413, 422}
_LATER = {408, 409, 429}


class OpenAI:
    """Vectors from `POST {base_url}/embeddings`.

    The API takes 2,048 inputs and 300,000 tokens a request. 256 inputs already cost the least CPU a row, and a
    token is seldom less than a character; a request of denser text is refused and then asked in halves.
    """

    max_inputs = 256
    max_characters = 300_000

    def __init__(self, model: Model, *, api_key: str | None, base_url: str | None, concurrency: int = 8) -> None:
        self.concurrency = concurrency
        self._model = model
        # A server of the user's own may want no key; the client insists on one. Trying again is the engine's part.
        self._client = openai.AsyncOpenAI(
            api_key=api_key or "none", base_url=base_url or None, max_retries=0, timeout=TIMEOUT
        )

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """One vector per text, in order.

        Raises:
            InputRefused: HTTP 400, 413 or 422 that speaks of the texts.
            ProviderUnavailable: no answer in time, or HTTP 408, 409, 429 and 5xx.
            ProviderRejected: any other answer: a wrong key, model or URL, no credit left.
        """
        try:
            # base64 with a decoder of our own: 0.06 ms of CPU a row, against 3.5 for lists of numbers.
            response = await self._client.embeddings.with_raw_response.create(
                model=self._model.id, input=list(texts), encoding_format="base64"
            )
        except openai.APIConnectionError as error:
            reason = "did not answer in time" if isinstance(error, openai.APITimeoutError) else "cannot be reached"
            raise ProviderUnavailable(f"The embedding provider at {self._host} {reason}.") from error
        except openai.APIStatusError as error:
            # Not chained: the provider's words may quote a text or a key, and a logged traceback would print them.
            raise self._translated(error, texts) from None
        try:
            vectors = decode(response.http_response.content)
        except (KeyError, TypeError, ValueError) as error:
            raise self._malformed("is not the JSON of an embeddings API") from error
        if len(vectors) != len(texts):
            raise self._malformed(f"has {len(vectors)} vectors for {len(texts)} texts")
        return vectors

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    @property
    def _host(self) -> str:
        return self._client.base_url.host

    def _malformed(self, what: str) -> ProviderRejected:
        return ProviderRejected(f"The answer of {self._host} {what}.", hint="Check OPENAI_BASE_URL.")

    def _translated(self, error: openai.APIStatusError, texts: Sequence[str]) -> Exception:
        status = error.status_code
        if error.code == "insufficient_quota":
            hint = "Look at the plan and the billing of the account behind OPENAI_API_KEY."
            return ProviderRejected(f"The account at {self._host} has no credit left (HTTP {status}).", hint=hint)
        if status in _LATER or status >= 500:
            message = f"The embedding provider at {self._host} is busy or limits the rate (HTTP {status})."
            return ProviderUnavailable(message, retry_after=retry_after(error.response.headers))
        # Some servers say 400 where OpenAI says 404: no other text would help, and none must be blamed.
        if status in _REFUSED and error.param != "model" and error.code != "model_not_found":
            size = f"{len(texts)} texts" if len(texts) > 1 else "a text"
            message = f"{self._model.name} refused {size} of {sum(map(len, texts))} characters (HTTP {status})."
            return InputRefused(f"{message} It may be too long for this model.", detail=error.message)
        if status in (401, 403):
            hint = f"Set OPENAI_API_KEY to a key that may use {self._model.id}."
            return ProviderRejected(f"The key was refused by {self._host} (HTTP {status}).", hint=hint)
        hint = "Check the model's name, and OPENAI_BASE_URL where that is set."
        return ProviderRejected(f"{self._host} cannot serve {self._model.id} (HTTP {status}).", hint=hint)


def decode(body: bytes) -> list[Vector]:
    """The vectors of an answer, in the order of its indexes; base64 or lists of numbers.

    Raises:
        KeyError, TypeError, ValueError: the answer has another form.
    """
    items = sorted(orjson.loads(body)["data"], key=itemgetter("index"))
    vectors = [_vector(item["embedding"]) for item in items]
    if any(vector.ndim != 1 or not vector.size or vector.size != vectors[0].size for vector in vectors):
        raise ValueError("an embedding is no list of numbers, or not as long as the others")
    return vectors


def _vector(embedding: str | list[float]) -> Vector:
    # A server that knows no base64 answers with numbers, whatever it was asked for.
    if isinstance(embedding, str):
        return np.frombuffer(a2b_base64(embedding), "<f4")
    return np.asarray(embedding, np.float32)
