"""What the service does itself for apps: asking models (`step.ai.infer`) and servers (`step.fetch`).

An app waits for neither, and pays for no machine meanwhile. Where it says to ask is looked at as `addresses.outward`
says, redirects too. Keys, prompts and answers are in no message and in no log.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urljoin

from yarl import URL

from cdc.ai.call import Call
from cdc.ai.spans import traced
from cdc.errors import RetryAfter
from cdc.remote.addresses import Entry, outward
from cdc.remote.outbound import (
    SECRETS,
    Question,
    Refused,
    answer,
    body_of,
    fetched,
    headers_of,
    host_of,
    origin_of,
    question,
)
from cdc.remote.pool import Exchanged, Lost, Pool, TooLarge, Unsent
from cdc.remote.recognised import known_call

LARGEST_ANSWER = 4 * 1024 * 1024
"""Bytes."""

MOST_REDIRECTS = 10

PATIENCE = 600.0
"""Seconds that an answer may take."""


class GatewayError(RetryAfter):
    """A server did not answer a `step.fetch`. Tried again as any error of a step."""

    def __init__(self, message: str, *, delay: float | None = None) -> None:
        super().__init__(message, delay=delay)


class AIGatewayError(GatewayError):
    """A model did not answer a `step.ai.infer`; `call` is what is known of the call, `detail` the provider's words."""

    def __init__(self, message: str, call: Call, *, delay: float | None = None, detail: str = "") -> None:
        super().__init__(message, delay=delay)
        self.call = call
        self.detail = detail


class Inferred(NamedTuple):
    """What a model answered: its provider's JSON, and what is known of the call."""

    data: Any
    call: Call


class Gateway:
    """Asks what apps want asked. `entries` are the hosts of `CDC_APP_HOSTS`, `patience` is in seconds."""

    def __init__(self, entries: Sequence[Entry], *, development: bool, patience: float = PATIENCE) -> None:
        self._pool = Pool(partial(outward, entries=entries, development=development))
        self._patience = patience

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()

    async def infer(self, opts: Mapping[str, Any]) -> Inferred:
        """What a model answers to the opts of an AIGateway.

        Raises:
            AIGatewayError: it does not.
        """
        asked = question(opts)
        with traced("chat", asked.provider, asked.model, streamed=asked.streamed) as span:
            began = time.perf_counter()
            try:
                data = await self._ask(asked)
            except Refused as refused:
                took = time.perf_counter() - began
                call = Call("chat", asked.provider, asked.model, took, streamed=asked.streamed, error="AIGatewayError")
                span.end(call)
                raise AIGatewayError(str(refused), call, delay=refused.delay, detail=refused.detail) from None
            call = known_call(data, asked.provider, asked.model, time.perf_counter() - began, asked.streamed)
            span.end(call)
            return Inferred(data, call)

    async def fetch(self, opts: Mapping[str, Any]) -> dict[str, Any]:
        """What a server answers to the opts of a Gateway, whatever its status.

        Raises:
            GatewayError: it does not.
        """
        method, url = str(opts.get("method") or "GET").upper(), str(opts.get("url") or "")
        headers, body = headers_of(opts.get("headers")), body_of(opts.get("body"))
        for _ in range(MOST_REDIRECTS + 1):
            found = await self._exchange(method, url, headers, body)
            to = found.headers.get("location")
            if found.status not in (301, 302, 303, 307, 308) or not to:
                return fetched(url, found)
            if found.status == 303 or (found.status in (301, 302) and method == "POST"):
                method, body = "GET" if method != "HEAD" else method, None
                headers = {name: value for name, value in headers.items() if not name.startswith("Content-")}
            before, url = url, urljoin(url, to)
            if origin_of(before) != origin_of(url):
                headers = {name: value for name, value in headers.items() if not SECRETS.fullmatch(name)}
        raise GatewayError(f"{host_of(url)} redirects more than {MOST_REDIRECTS} times.")

    async def _ask(self, asked: Question) -> Any:
        try:
            found = await self._exchange("POST", asked.url, asked.headers, asked.body)
        except GatewayError as error:
            raise Refused(str(error)) from None
        return answer(host_of(asked.url), found, time.time())

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Exchanged:
        try:
            written = str(URL(url))
        except ValueError:
            raise GatewayError("The URL that is to be asked is none.") from None
        try:
            return await self._pool.exchange(
                method, written, headers, body, timeout=self._patience, limit=LARGEST_ANSWER
            )
        except (Unsent, Lost) as error:
            raise GatewayError(f"{host_of(url)} {error}.") from None
        except TooLarge:
            raise GatewayError(f"The answer of {host_of(url)} is larger than {LARGEST_ANSWER:,} bytes.") from None
