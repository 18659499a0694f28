"""`POST /e/{key}`: events from applications, as Inngest's SDKs send them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.store.connect import Connection
from cdc.store.failures import ConnectionTrouble, StatementFailed, about_a_value
from cdc.store.starts import uuid
from cdc.web import incoming
from cdc.web.answers import Json, body_of
from cdc.web.gathering import Gathering

_SEED, _TRACE = "x-inngest-event-id-seed", "traceparent"


def routes(
    connection: Callable[[], AbstractAsyncContextManager[Connection]], wake: Callable[[], None], keys: Sequence[str]
) -> list[Route]:
    """The one route. With `keys`, one of them must be in the path; without, any may. `wake`: runs are due."""
    gathering = Gathering(connection, wake)

    async def send(request: Request) -> Response:
        if keys and not is_one_of(request.path_params["key"], keys):
            return Json({"error": "The event key is not known here.", "status": 401}, status_code=401)
        events, error = incoming.read(await body_of(request), request.headers.get(_SEED), request.headers.get(_TRACE))
        if events:
            try:
                await gathering.take(events)
            except ConnectionTrouble:
                raise
            except StatementFailed as failed:
                if not about_a_value(failed):
                    raise
                events, error = [], "an event has a value that the database cannot store; none was accepted"
        ids = [uuid(event.id) for event in events]
        return Json(incoming.answer(ids, error), status_code=400 if error else 200)

    return [Route("/e/{key}", send, methods=["POST"])]


def is_one_of(given: str, keys: Sequence[str]) -> bool:
    """Whether a key is among those that are known; how long that takes tells nothing of them."""
    found = [hmac.compare_digest(given.encode(errors="replace"), key.encode()) for key in keys]
    return any(found)
