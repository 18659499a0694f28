"""A loopback server that speaks OpenAI's embeddings API, and its vendors' other forms, for tests and benchmarks.

In a test:      async with OpenAIServer(latency=0.1) as server: ... server.url ...
By itself:      python -m tests.openai_server --port 8008 --latency 0.1      (counters at GET /stats)

A text's vector is a pure function of the text, so any process can say what it must be: `unit_vectors`.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from threading import Thread
from types import TracebackType
from typing import Any, Self

import numpy as np
import orjson
import uvicorn
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.waiting import eventually

MAX_INPUTS = 2048
MAX_TOKENS = 8192
MAX_TOKENS_PER_REQUEST = 300_000
REFUSED = "[refuse]"
"""A text with this in it makes the server refuse the whole request, as OpenAI does for a text too long."""

PATHS = (
    "/v1/embeddings",
    "/v1beta/openai/embeddings",
    "/v2/embed",
    "/openai/deployments/{deployment}/embeddings",
)
"""OpenAI's and Voyage's, Google's, Cohere's and Azure's."""

_BLOCKS = 16


@cache
def _rows(dimensions: int) -> NDArray[np.float32]:
    """256 random rows for each byte of a digest: shape (16, 256, dimensions / 16)."""
    width = -(-dimensions // _BLOCKS)
    return np.random.default_rng(0).standard_normal((_BLOCKS, 256, width), np.float32)


def unit_vectors(texts: Sequence[str], dimensions: int = 1536, *, full: int = 1536) -> NDArray[np.float32]:
    """The vectors of texts, shape (texts, dimensions), length 1; fewer than `full` dimensions are a cut of those."""
    digests = b"".join(blake2b(text.encode(), digest_size=_BLOCKS).digest() for text in texts)
    picks = np.frombuffer(digests, np.uint8).reshape(len(texts), _BLOCKS)
    blocks = _rows(full)[np.arange(_BLOCKS), picks]
    # Interleaved, so that a cut keeps something of every byte and different texts stay different.
    vectors = blocks.transpose(0, 2, 1).reshape(len(texts), -1)[:, :dimensions]
    units: NDArray[np.float32] = vectors / np.sqrt(np.einsum("td,td->t", vectors, vectors))[:, None]
    return units


class RateLimit:
    """Requests and tokens a second, beyond a burst of as many as fit; `tells` of what is left with each answer."""

    def __init__(
        self, *, requests: float, burst: int, tokens: float = 1e9, burst_tokens: float = 1e9, tells: bool = False
    ) -> None:
        self._rates = np.array([requests, tokens])
        self._sizes = np.array([burst, burst_tokens])
        self._left = self._sizes.copy()
        self._at = time.monotonic()
        self._tells = tells

    def take(self, texts: Sequence[str]) -> float:
        """Seconds until there is room for a request with these; 0: it has been taken."""
        cost = np.array([1.0, sum(map(_tokens, texts))])
        self._fill()
        wait = float(((cost - self._left) / self._rates).max())
        if wait <= 0:
            self._left -= cost
        return wait

    def headers(self) -> dict[str, str]:
        """As OpenAI writes them."""
        if not self._tells:
            return {}
        self._fill()
        headers = {}
        for kind, size, left, rate in zip(("requests", "tokens"), self._sizes, self._left, self._rates, strict=True):
            headers[f"x-ratelimit-limit-{kind}"] = f"{size:.0f}"
            headers[f"x-ratelimit-remaining-{kind}"] = f"{np.floor(left):.0f}"
            headers[f"x-ratelimit-reset-{kind}"] = f"{(size - left) / rate * 1000:.0f}ms"
        return headers

    def _fill(self) -> None:
        now = time.monotonic()
        self._left = np.minimum(self._left + (now - self._at) * self._rates, self._sizes)
        self._at = now


class OpenAIServer:
    """`POST /v1/embeddings` on a free port, in a thread of its own.

    `latency` seconds a request, and until what it `waits_for` is so; with a `key`, other keys get 401; `base64=False`
    plays a server that answers lists of numbers whatever it is asked for; `most` inputs a request are taken; `limit`
    refuses requests beyond a rate.
    The counters are public: `arrived`, `requests` (answered), `inputs`, `seen` (every text, in order), `bodies` (every
    body and its headers), `limited` (requests refused for their rate), `busy` and `peak` (requests at the same time).
    Once it `relents` it takes texts that it refused before.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        key: str | None = None,
        base64: bool = True,
        dimensions: int = 1536,
        most: int = MAX_INPUTS,
        limit: RateLimit | None = None,
        port: int = 0,
    ) -> None:
        self.latency = latency
        self.waits_for: Callable[[], bool] = lambda: True
        self.down = False
        self._most = most
        self._limit = limit
        self.busy = 0
        self.relents = False
        self._key = key
        self._base64 = base64
        self._dimensions = dimensions
        self.reset()
        self.app = Starlette(
            routes=[
                *(Route(path, self._embeddings, methods=["POST"]) for path in PATHS),
                Route("/stats", self._stats),
            ]
        )
        self._socket = socket.create_server(("127.0.0.1", port), backlog=256)
        # asyncio does it for sockets of its own: else an answer's body waits 40 ms for its head to be confirmed.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = uvicorn.Config(self.app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
        # Longer than clients keep theirs, as providers do: a request must not meet a connection that is just closed.
        config.timeout_keep_alive = 60
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self.serve, name="openai-server", daemon=True)

    @property
    def url(self) -> str:
        """The base URL, as OPENAI_BASE_URL wants it."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{host}:{port}/v1"

    def reset(self) -> None:
        """Forget what was counted and what was scripted."""
        self.arrived = self.requests = self.inputs = self.peak = self.limited = 0
        self.seen: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self._script: deque[Response] = deque()

    def fail_next(
        self, times: int = 1, *, status: int = 500, headers: Mapping[str, str] | None = None, **error: Any
    ) -> None:
        """Answer the next requests with this status and this error object."""
        self._script.extend(_error(status, headers=headers, **error) for _ in range(times))

    def cut_next(self, times: int = 1) -> None:
        """Close the connection in the middle of the next answers."""
        self._script.extend(_Cut() for _ in range(times))

    def answer_next(self, body: bytes, times: int = 1, *, status: int = 200) -> None:
        """Answer the next requests with these bytes."""
        self._script.extend(Response(body, status, media_type="application/json") for _ in range(times))

    def serve(self) -> None:
        """Answer until told to stop."""
        self._server.run(sockets=[self._socket])

    async def __aenter__(self) -> Self:
        # The socket listens already: who comes before the thread is up waits in its backlog.
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Requests under way are nobody's any more.
        self._server.should_exit = self._server.force_exit = True
        await asyncio.to_thread(self._thread.join)
        self._socket.close()

    async def _embeddings(self, request: Request) -> Response:
        self.arrived += 1
        asked = orjson.loads(await request.body())
        latency = self.latency  # who sees it busy may set another for those to come
        self.busy += 1
        self.peak = max(self.peak, self.busy)
        try:
            await self._pause(latency)
            self.bodies.append(asked | {"path": request.url.path, "headers": dict(request.headers)})
            answer = self._answer(asked, request.headers.get("authorization", ""))
            if self._limit is not None:
                answer.headers.update(self._limit.headers())
            return answer
        finally:
            self.busy -= 1

    async def _pause(self, latency: float) -> None:
        await asyncio.sleep(latency)
        await eventually(self.waits_for, within=600)

    def _answer(self, asked: dict[str, Any], authorization: str) -> Response:
        texts = asked["texts"] if "texts" in asked else asked["input"]
        texts = [texts] if isinstance(texts, str) else texts
        self.requests += 1
        if self.down:
            return _error(500)
        if self._limit is not None and (wait := self._limit.take(texts)) > 0:
            self.limited += 1
            return _error(429, headers={"retry-after": f"{wait:.3f}"}, message="Rate limit reached for requests")
        self.inputs += len(texts)
        self.seen.extend(texts)
        if self._script:
            return self._script.popleft()
        if self._key is not None and authorization != f"Bearer {self._key}":
            return _error(401, message="Incorrect API key provided.", code="invalid_api_key")
        if not self.relents and (reason := _refusal(texts, self._most)) is not None:
            return _error(400, message=reason, type="invalid_request_error")
        dimensions = asked.get("dimensions") or asked.get("output_dimension") or self._dimensions
        vectors = unit_vectors(texts, dimensions, full=max(dimensions, self._dimensions))
        if "embedding_types" in asked:
            return _cohere(texts, vectors)
        return _vectors(
            asked["model"], texts, vectors, base64=self._base64 and asked.get("encoding_format") == "base64"
        )

    async def _stats(self, _: Request) -> Response:
        return _json({"arrived": self.arrived, "requests": self.requests, "inputs": self.inputs, "peak": self.peak})


class _Cut(Response):
    """Promises more than it sends, so that the server closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"object": "list", "data": [', "more_body": True})


def _tokens(text: str) -> int:
    return len(text) // 4 + 1


def _refusal(texts: Sequence[str], most: int) -> str | None:
    if not texts or len(texts) > most or not all(texts):
        return "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    longest = max(map(_tokens, texts))
    if longest > MAX_TOKENS or any(REFUSED in text for text in texts):
        return f"This model's maximum context length is {MAX_TOKENS} tokens, however you requested {longest} tokens."
    if sum(map(_tokens, texts)) > MAX_TOKENS_PER_REQUEST:
        return f"Requested more than the max of {MAX_TOKENS_PER_REQUEST} tokens per request."
    return None


def _vectors(model: str, texts: Sequence[str], vectors: NDArray[np.float32], *, base64: bool) -> Response:
    embeddings: list[Any] = [b64encode(vector.tobytes()).decode() for vector in vectors] if base64 else list(vectors)
    used = sum(map(_tokens, texts))
    data = [
        {"object": "embedding", "index": place, "embedding": embedding} for place, embedding in enumerate(embeddings)
    ]
    usage = {"prompt_tokens": used, "total_tokens": used}
    return _json({"object": "list", "data": data, "model": model, "usage": usage})


def _cohere(texts: Sequence[str], vectors: NDArray[np.float32]) -> Response:
    embeddings = {"base64": [b64encode(vector.tobytes()).decode() for vector in vectors]}
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": float(sum(map(_tokens, texts)))}}
    return _json({"id": "of-the-test", "embeddings": embeddings, "texts": texts, "meta": meta})


def _error(status: int, *, headers: Mapping[str, str] | None = None, **error: Any) -> Response:
    body = {"message": "The server had an error.", "type": None, "param": None, "code": None} | error
    return _json({"error": body}, status=status, headers=headers)


def _json(content: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, headers, media_type="application/json")


def main() -> None:
    """Serve until interrupted."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=8008)
    options.add_argument("--latency", type=float, default=0.1, help="seconds a request")
    options.add_argument("--dimensions", type=int, default=1536)
    chosen = options.parse_args()
    server = OpenAIServer(latency=chosen.latency, dimensions=chosen.dimensions, port=chosen.port)
    print(server.url, flush=True)
    server.serve()


if __name__ == "__main__":
    main()
