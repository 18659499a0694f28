"""Routes that change something: each does what a command of the same name does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.events.hands import Hands
from cdc.events.outbox import Outbox
from cdc.store import looking
from cdc.store.connect import Connection
from cdc.web.answers import Json, data_of, object_of, uuid_of

_REASON = "cancelled over the API"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request: the id in its path, and the object that it carries."""

    conn: Connection
    hands: Hands
    id: str
    body: dict[str, Any]


def routes(connection: Callable[[], AbstractAsyncContextManager[Connection]], wake: Callable[[], None]) -> list[Route]:
    """For runs, functions and signals. `wake`: something may be due, or was cancelled."""
    outbox = Outbox()

    def route(path: str, act: Callable[[_Asked], Awaitable[dict[str, Any]]]) -> Route:
        async def handle(request: Request) -> Response:
            body = await object_of(request)
            async with connection() as conn:
                data = await act(_Asked(conn, Hands(conn, outbox), request.path_params.get("id", ""), body))
            wake()
            return Json({"data": data})

        return Route(path, handle, methods=["POST"])

    return [
        route("/v1/runs/{id}/cancel", _cancel),
        route("/v1/runs/{id}/replay", _replay),
        route("/v1/functions/{id}/pause", _pause),
        route("/v1/functions/{id}/resume", _resume),
        route("/v1/functions/{id}/invoke", _invoke),
        route("/v1/signals", _signal),
    ]


async def _cancel(asked: _Asked) -> dict[str, Any]:
    run_id = await _run(asked)
    if not await asked.hands.cancel([run_id], _REASON):
        raise HTTPException(409, "The run has ended already.")
    return {"run_id": run_id}


async def _replay(asked: _Asked) -> dict[str, Any]:
    run_id = await _run(asked)
    repeated = await asked.hands.replay([run_id])
    if run_id in repeated.skipped:
        raise HTTPException(409, f"The run cannot be replayed: {repeated.skipped[run_id]}.")
    return {"run_id": repeated.runs[run_id], "replays": run_id}


async def _pause(asked: _Asked) -> dict[str, Any]:
    return {"held": _known(await asked.hands.pause(asked.id))}


async def _resume(asked: _Asked) -> dict[str, Any]:
    return {"released": _known(await asked.hands.resume(asked.id))}


async def _invoke(asked: _Asked) -> dict[str, Any]:
    return {"event_id": _known(await asked.hands.invoke(asked.id, data_of(asked.body)))}


async def _signal(asked: _Asked) -> dict[str, Any]:
    name = asked.body.get("signal")
    if not isinstance(name, str) or not name or not name.isprintable():
        raise HTTPException(400, "signal is not the name of a signal.")
    run_id = await asked.hands.signal(name, data_of(asked.body))
    if run_id is None:
        raise HTTPException(404, "No run waits for this signal.")
    return {"run_id": run_id}


async def _run(asked: _Asked) -> str:
    run_id = uuid_of(asked.id)
    if await looking.run(asked.conn, run_id) is None:
        raise HTTPException(404, "There is no such run.")
    return run_id


def _known(done: int | str | None) -> int | str:
    if done is None:
        raise HTTPException(404, "There is no such function.")
    return done
