"""About one run: what apps say of it (`step.metadata` of the TypeScript SDK), and what is due of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cdc.remote.routes.acting import metadata
from cdc.remote.routes.answers import Json, object_of, run_of
from cdc.remote.routes.service import Service
from cdc.store import looking
from cdc.store import metadata as stored
from cdc.store.metadata import Update

_MOST_UPDATES = 100
_LONGEST = 255
"""Characters of a kind, and of a step's id."""


def routes(service: Service) -> list[Route]:
    """Both."""

    async def say(request: Request) -> Response:
        run_id, body = run_of(request), await object_of(request)
        step_id, updates = _step(body), _updates(body)
        async with service.state() as conn:
            if run_id is None or not await looking.is_run(conn, run_id):
                raise HTTPException(404, "There is no such run.")
            if not await stored.say(conn, run_id, step_id, updates):
                raise HTTPException(413, f"The metadata of a run has at most {stored.MOST:,} characters of JSON.")
        return Json({"data": None})

    async def jobs(request: Request) -> Response:
        run_id = run_of(request)
        async with service.state() as conn:
            run = None if run_id is None else await looking.row_of(conn, run_id)
            if run is None:
                raise HTTPException(404, "There is no such run.")
            due = [] if run["ended_at"] else [*_due(run, await looking.steps_of(conn, run["id"]))]
        return Json({"data": due, "metadata": metadata()})

    return [Route("/v1/runs/{run}/metadata", say, methods=["POST"]), Route("/v1/runs/{run}/jobs", jobs)]


def _step(body: Mapping[str, Any]) -> str | None:
    """The step that it is about.

    Raises:
        HTTPException: that cannot be one.
    """
    target = body.get("target", {})
    step_id = target.get("step_id") if isinstance(target, dict) else ""
    if step_id is not None and not _is_name(step_id):
        raise HTTPException(400, f"target is an object, and its step_id a text of 1 to {_LONGEST} characters.")
    return step_id


def _updates(body: Mapping[str, Any]) -> list[Update]:
    """What is said.

    Raises:
        HTTPException: it cannot be read.
    """
    given = body.get("metadata")
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_UPDATES:
        raise HTTPException(400, f"metadata is a list of 1 to {_MOST_UPDATES} updates: {{kind, op, values}}.")
    return [_update(each) for each in given]


def _update(given: Any) -> Update:
    said = given if isinstance(given, dict) else {}
    kind, op, values = said.get("kind"), said.get("op"), said.get("values")
    if not _is_name(kind) or op not in ("merge", "set") or not isinstance(values, dict):
        raise HTTPException(400, "An update has a kind, an op (merge or set), and values, an object.")
    return Update(kind, op == "set", values)


def _is_name(given: object) -> TypeGuard[str]:
    return isinstance(given, str) and given.isprintable() and 0 < len(given) <= _LONGEST


def _due(run: Mapping[str, Any], steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The next call of a run, and its steps that have a time at which they go on."""
    kind = "edge" if run["started_at"] else "start"
    yield {"kind": kind, "at": run["due_at"], "position": 0, "attempt": run["failures"]}
    for step in steps:
        if step["ended_at"] is None and step["wake_at"] is not None:
            yield {"kind": step["kind"], "at": step["wake_at"], "position": 0, "attempt": step["attempts"]}
