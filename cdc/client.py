"""Sends events to a running service from any Python program, by HTTP, and waits for what they start."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from cdc.authoring.event import Event
from cdc.errors import EventsRefused, ServiceUnreachable

if TYPE_CHECKING:
    import httpx

_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each further attempt, unless the service asks for more."""

_LONGEST_PAUSE = 30.0

_ENDED = ("completed", "failed", "cancelled")

_LOOK = 0.2
"""Seconds between looks at the runs of an event."""

Sendable = Event | Mapping[str, Any]

T = TypeVar("T")


class Client:
    """Sends events to the service at `url`, with the event key `key` (any, where the service has none).

    `token` is the service's CDC_DASHBOARD_TOKEN, where it has one: `ended` asks with it, `send` needs none.

        client = Client("http://127.0.0.1:8288")
        await client.send(Event("app/order.paid", {"id": 7}))
        client.send_sync([{"name": "app/a"}, {"name": "app/b", "data": {"n": 1}}])
        (run,) = client.ended_sync(*client.send_sync(Event("chat.message", {"message": "Hello"})))

    `send` returns the ids that the events have been stored under. An attempt that fails is repeated, up to five times;
    the service knows a repeated request from a new one, so that no event is stored twice. `timeout` is seconds, for
    each.
    """

    def __init__(self, url: str, key: str = "local", *, token: str | None = None, timeout: float = 10.0) -> None:
        self._service = url.rstrip("/")
        self._url = f"{self._service}/e/{quote(key, safe='')}"
        self._timeout = timeout
        self._asked = {"authorization": f"Bearer {token}"} if token else {}
        # A proxy that the environment names does not reach this machine's loopback.
        self._by_proxy = urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1")

    async def send(self, events: Sendable | Iterable[Sendable]) -> list[str]:
        """Send one event or several.

        Raises:
            EventsRefused: the service does not take one of them, or the key.
            ServiceUnreachable: it did not answer, or could not store them, each time that it was tried.
        """
        import httpx  # only here: whoever writes functions imports this module, too

        attempt = _Attempt(self._url, events)
        async with httpx.AsyncClient(timeout=self._timeout, trust_env=self._by_proxy) as client:
            for pause in attempt.pauses():
                await asyncio.sleep(pause)
                try:
                    attempt.answered(await client.post(self._url, content=attempt.body, headers=attempt.headers))
                except httpx.TransportError as error:
                    attempt.failed(error)
        return attempt.ids

    def send_sync(self, events: Sendable | Iterable[Sendable]) -> list[str]:
        """The same, for programs without an event loop.

        Raises:
            EventsRefused, ServiceUnreachable: as `send`.
        """
        import httpx

        attempt = _Attempt(self._url, events)
        with httpx.Client(timeout=self._timeout, trust_env=self._by_proxy) as client:
            for pause in attempt.pauses():
                time.sleep(pause)
                try:
                    attempt.answered(client.post(self._url, content=attempt.body, headers=attempt.headers))
                except httpx.TransportError as error:
                    attempt.failed(error)
        return attempt.ids

    async def ended(self, event_id: str, *, within: float = 120.0) -> list[dict[str, Any]]:
        """The runs that an event started, once all have ended: as `GET /v1/events/{id}/runs` has them,
        with all of their output and error.

        Raises:
            EventsRefused: the service knows no such event.
            ServiceUnreachable: it did not answer.
            TimeoutError: they have not ended `within` so many seconds.
        """
        return await asyncio.to_thread(self.ended_sync, event_id, within=within)

    def ended_sync(self, event_id: str, *, within: float = 120.0) -> list[dict[str, Any]]:
        """The same, for programs without an event loop.

        Raises:
            EventsRefused, ServiceUnreachable, TimeoutError: as `ended`.
        """
        import httpx

        until = time.monotonic() + within
        address = f"{self._service}/v1/events/{quote(event_id, safe='')}/runs"
        with httpx.Client(timeout=self._timeout, trust_env=self._by_proxy, headers=self._asked) as client:
            while True:
                runs = _asked(self._service, client.get, address, list)
                if all(run["status"] in _ENDED for run in runs):
                    return [_whole(self._service, client.get, run) for run in runs]
                if time.monotonic() > until:
                    raise TimeoutError(f"The runs of event {event_id} have not ended within {within:g} seconds.")
                time.sleep(_LOOK)


def _whole(service: str, get: Callable[[str], httpx.Response], run: dict[str, Any]) -> dict[str, Any]:
    """A run as a list has it, with what was left out there."""
    if not run.get("truncated"):
        return run
    whole = _asked(service, get, f"{service}/v1/runs/{run['id']}", dict)
    return {**run, "output": whole["output"], "error": whole["error"], "truncated": False, "excerpt": None}


def _asked(service: str, get: Callable[[str], httpx.Response], address: str, kind: type[T]) -> T:
    import httpx

    try:
        response = get(address)
    except httpx.TransportError as error:
        raise ServiceUnreachable(
            f"The service at {service} was not reached: {error}.", hint="Look whether it runs, then ask again."
        ) from None
    said = _said(response)
    if response.status_code == 200 and isinstance(data := said.get("data"), kind):
        return data
    reason = _reason(response)
    if response.status_code == 404:
        raise EventsRefused(f"The service at {service}: {reason}.", hint="Give an id that `send` returned.")
    raise ServiceUnreachable(f"The service at {service} did not tell: {reason}.", hint="Ask again.")


class _Attempt:
    """One request, however often it is sent: always with the same seed, from which the service makes the ids."""

    def __init__(self, url: str, events: Sendable | Iterable[Sendable]) -> None:
        several = [events] if isinstance(events, Event | Mapping) else list(events)
        self.body = json.dumps([_as_json(event) for event in several], allow_nan=False).encode()
        self.headers = {"content-type": "application/json", "x-inngest-event-id-seed": _seed()}
        self.ids: list[str] = []
        self._url = url.rpartition("/e/")[0]
        self._done = False
        self._reason = ""
        self._after = 0.0

    def pauses(self) -> Iterator[float]:
        """The seconds before each attempt, until one succeeds.

        Raises:
            ServiceUnreachable: none did.
        """
        for pause in (0.0, *_PAUSES):
            yield max(pause, self._after)
            if self._done:
                return
        raise ServiceUnreachable(
            f"The service at {self._url} did not take the events: {self._reason}.",
            hint="Look whether it runs and is reached from here, then send again.",
        )

    def answered(self, response: httpx.Response) -> None:
        """Note what the service said.

        Raises:
            EventsRefused: it will never take this.
        """
        said = _said(response)
        if response.status_code == 200 and isinstance(said.get("ids"), list):
            self.ids, self._done = said["ids"], True
            return
        self._reason = _reason(response)
        self._after = _after(response)
        if 400 <= response.status_code < 500 and response.status_code not in (408, 425, 429):
            accepted = said.get("ids") or []
            raise EventsRefused(
                f"The service at {self._url} refused the events: {self._reason}.",
                hint=f"The first {len(accepted)} were accepted." if accepted else "None was accepted.",
                accepted=accepted,
            )

    def failed(self, error: Exception) -> None:
        """Note that it could not be asked."""
        self._reason = str(error).rstrip(".") or type(error).__name__
        self._after = 0.0


def _as_json(event: Sendable) -> dict[str, Any]:
    if isinstance(event, Event):
        given = {**event.as_dict(), "traceparent": event.traceparent}
        return {name: value for name, value in given.items() if value or name == "name"}
    return dict(event)


def _after(response: httpx.Response) -> float:
    """The seconds that the service asks to wait before the next attempt (Retry-After)."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_PAUSE) if asked.isdecimal() else 0.0


def _seed() -> str:
    """As Inngest's SDKs make it: milliseconds and ten random bytes."""
    return f"{time.time_ns() // 1_000_000},{base64.b64encode(os.urandom(10)).decode()}"


def _reason(response: httpx.Response) -> str:
    return str(_said(response).get("error") or f"it answered with status {response.status_code}").rstrip(".")


def _said(response: httpx.Response) -> dict[str, Any]:
    try:
        said = response.json()
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}
