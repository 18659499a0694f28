"""`POST /e/{key}`: events from applications, as Inngest's SDKs send them.

It is the busiest route: it speaks ASGI itself, and what comes in is counted (cdc.web.room) before it is read.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cdc.store.connect import Connection
from cdc.store.failures import StatementFailed, about_a_value
from cdc.store.starts import uuid
from cdc.web import crossing, incoming
from cdc.web.answers import MOST_BYTES, Json
from cdc.web.gathering import Gathering, NotStored, Unsure
from cdc.web.room import Full, Place, Room

_SEED, _TRACE, _KIND, _LENGTH = b"x-inngest-event-id-seed", b"traceparent", b"content-type", b"content-length"
_ORIGIN = b"origin"
_TOLD = {_SEED, _TRACE, _KIND, _LENGTH, _ORIGIN}

_FULL = "More is waiting to be stored than there is room for; nothing of this request was stored. Send it again."
_NOT_STORED = "The state database does not answer; nothing of this request was stored. Send it again."
_UNSURE = (
    "The state database did not answer in time; the events may have been stored. Send the same request again with the "
    "same x-inngest-event-id-seed: what is stored already is not stored twice."
)
_SOON, _LATER = 1, 5
"""Seconds, for Retry-After: until something was stored, until the database may be there."""


class Refused(Exception):
    """Answered with an error. With `after`, the same may be tried again in so many seconds."""

    def __init__(self, status: int, error: str, after: int | None = None) -> None:
        super().__init__(error)
        self.answer = Json(
            incoming.answer([], error, status),
            status_code=status,
            headers=None if after is None else {"retry-after": str(after)},
        )


def routes(
    connection: Callable[[], AbstractAsyncContextManager[Connection]],
    wake: Callable[[], None],
    keys: Sequence[str],
    room: Room | None = None,
    patience: float | None = None,
) -> list[Route]:
    """The one route. With `keys`, one of them must be in the path; without, any may. `wake`: runs are due.

    `room` is for what waits, `patience` how many seconds it does.
    """
    gathering = Gathering(connection, wake) if patience is None else Gathering(connection, wake, patience=patience)
    return [Route("/e/{key}", _Sending(gathering, keys, room or Room()), methods=["POST", "OPTIONS"])]


class _Sending:
    def __init__(self, gathering: Gathering, keys: Sequence[str], room: Room) -> None:
        self._gathering = gathering
        self._keys = keys
        self._room = room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        told = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _TOLD}
        if scope["method"] == "OPTIONS":
            headers = crossing.asked_first(told.get(_ORIGIN), keyed=bool(self._keys))
            await Response(status_code=204, headers=headers)(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, receive, told)
        except Refused as refused:
            answer = refused.answer
        except ClientDisconnect:
            return
        if _ORIGIN in told:
            answer.headers.update(crossing.allowed(told[_ORIGIN], keyed=bool(self._keys)))
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, told: Mapping[bytes, str]) -> Json:
        if self._keys and not is_one_of(scope["path_params"]["key"], self._keys):
            raise Refused(401, "The event key is not known here.")
        # Without keys it has to be what a form of a page elsewhere cannot send; with them it is read as what it is.
        if not self._keys and told.get(_KIND, "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "Send it as JSON, with the header content-type: application/json.")
        length = told.get(_LENGTH, "0")
        size = int(length) if length.isdecimal() else 0
        if size > MOST_BYTES:
            raise _too_large()
        try:
            with self._room.place(size) as place:
                body = await _body(receive, place)
                self._room.expect()
                read = incoming.read(body, told.get(_SEED), told.get(_TRACE))
                del body
                return await self._taken(read, place)
        except Full:
            raise Refused(503, _FULL, _SOON) from None

    async def _taken(self, read: incoming.Read, place: Place) -> Json:
        events, error = read
        if events:
            size = sum([len(event.data) for event in events])
            place.hold(len(events), size)
            try:
                await self._gathering.take(events, size, place)
            except NotStored:
                raise Refused(503, _NOT_STORED, _LATER) from None
            except Unsure:
                raise Refused(503, _UNSURE, _LATER) from None
            except StatementFailed as failed:
                if not about_a_value(failed):
                    raise
                events, error = [], "an event has a value that the database cannot store; none was accepted"
        ids = [uuid(event.id) for event in events]
        return Json(incoming.answer(ids, error), status_code=400 if error else 200)


async def _body(receive: Receive, place: Place) -> bytes | bytearray:
    """All of the body, which takes the place of what was told to come.

    Raises:
        Refused: it is too large.
        Full: there is no room for it.
        ClientDisconnect: it does not come.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        place.fits(len(message["body"]))
        return bytes(message["body"])
    body = bytearray()
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise _too_large()
        place.fits(len(body))
        if not message.get("more_body"):
            return body
        message = await receive()
    raise ClientDisconnect


def _too_large() -> Refused:
    return Refused(413, f"A request has at most {MOST_BYTES} bytes.")


def is_one_of(given: str, keys: Sequence[str]) -> bool:
    """Whether a key is among those that are known; how long that takes tells nothing of them."""
    found = [hmac.compare_digest(given.encode(errors="replace"), key.encode()) for key in keys]
    return any(found)
