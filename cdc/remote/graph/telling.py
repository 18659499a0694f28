"""What is stored, as the types of the schema. A field that takes another read of the database is a function."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from graphql import GraphQLError, GraphQLResolveInfo

from cdc.remote.graph.limits import Budget
from cdc.remote.memos import memo, told_error, told_event
from cdc.remote.planning import has_ended
from cdc.remote.routes.answers import uuid_of
from cdc.store import events, listing, looking, runs
from cdc.store.choice import Choice
from cdc.store.connect import Connection
from cdc.store.json import document
from cdc.store.runs import Memo

MOST = 100
"""In one list."""

Told = dict[str, Any]
Info: TypeAlias = "GraphQLResolveInfo[Any]"

_STATUSES = {"queued": "QUEUED", "completed": "COMPLETED", "failed": "FAILED", "cancelled": "CANCELLED"}


class Telling:
    """Tells one query what it asks for, over one connection."""

    def __init__(self, conn: Connection, budget: Budget) -> None:
        self._conn = conn
        self._budget = budget

    async def run(self, run_id: str | None) -> Told | None:
        """A run with status and output of the same moment."""
        self._budget.spend()
        found = None if run_id is None else await looking.row_of(self._conn, run_id)
        return None if found is None else self._run(found, _output(found))

    async def runs(self, choice: Choice, first: int) -> list[Told]:
        """Runs, newest first."""
        self._budget.spend()
        page = await listing.runs(self._conn, choice, _size(first))
        return [self._listed(row) for row in page.rows]

    async def trigger(self, run_id: str | None) -> Told:
        """What started a run.

        Raises:
            GraphQLError: there is none.
        """
        self._budget.spend()
        found = None if run_id is None else await looking.row_of(self._conn, run_id)
        if found is None:
            raise GraphQLError("There is no such run.")
        ids = found["event_ids"]
        loaded = await events.load(self._conn, ids)
        given = [told_event(loaded[id_]) for id_ in ids if id_ in loaded]
        return {
            "eventName": given[0]["name"] if given else "",
            "IDs": ids,
            "payloads": [_json(event) for event in given],
            "timestamp": _text(found["created_at"]),
            "isBatch": len(ids) > 1,
        }

    async def output(self, output_id: str) -> Told:
        """What a step came to.

        Raises:
            GraphQLError: there is no such span, or it has not ended.
        """
        self._budget.spend()
        run_id, key = _span(output_id)
        found = (await runs.memos(self._conn, [run_id])).get(run_id, {}).get(key)
        if found is None or not has_ended(found):
            raise GraphQLError("There is no such output.")
        return _came_to(found)

    async def event(self, event_id: str | None) -> Told | None:
        """One event."""
        self._budget.spend()
        found = None if event_id is None else await looking.event(self._conn, event_id)
        return None if found is None else self._event(found)

    async def events(self, name: str | None, first: int) -> list[Told]:
        """Events, newest first."""
        self._budget.spend()
        page = await listing.events(self._conn, listing.Which(name), _size(first))
        return [self._event(row) for row in page.rows]

    async def functions(self, function_id: str | None = None) -> list[Told]:
        """Functions in force, by id."""
        self._budget.spend()
        if function_id is None:
            found = await looking.functions(self._conn)
        else:
            one = await looking.function(self._conn, function_id)
            found = [] if one is None else [one]
        return [self._function(each) for each in found]

    async def apps(self) -> list[Told]:
        """Apps that have functions in force, by name."""
        by_app: dict[str, list[Told]] = {}
        for function in await self.functions():
            if function["appName"]:
                by_app.setdefault(function["appName"], []).append(function)
        return [{"name": name, "functions": by_app[name]} for name in sorted(by_app)]

    def _listed(self, row: Mapping[str, Any]) -> Told:
        async def output(info: Info) -> str | None:
            if not row["truncated"]:
                return _output(row)
            whole = await self.run(row["id"])
            return None if whole is None else str(whole["output"])

        return self._run(row, output)

    def _run(self, row: Mapping[str, Any], output: Any) -> Told:
        async def function(info: Info) -> Told | None:
            return next(iter(await self.functions(row["function_id"])), None)

        async def event_ids(info: Info) -> list[str] | None:
            self._budget.spend()
            found = await looking.row_of(self._conn, row["id"])
            return None if found is None else list(found["event_ids"])

        async def trace(info: Info) -> Told:
            self._budget.spend()
            return _trace(row, await looking.steps_of(self._conn, row["id"]))

        return {
            "id": row["id"],
            "functionID": row["function_id"],
            "function": function,
            "status": _STATUSES.get(row["status"], "RUNNING"),
            "output": output,
            "eventIDs": row.get("event_ids") or event_ids,
            "queuedAt": _text(row["created_at"]),
            "startedAt": _text(row["started_at"]),
            "endedAt": _text(row["ended_at"]),
            "trace": trace,
        }

    def _event(self, row: Mapping[str, Any]) -> Told:
        async def started(info: Info) -> list[Told]:
            self._budget.spend()
            return [self._listed(each) for each in (await looking.runs_of(self._conn, row))[:MOST]]

        async def payload(info: Info) -> str | None:
            self._budget.spend()
            loaded = await events.load(self._conn, [row["id"]])
            return _json(told_event(loaded[row["id"]])) if row["id"] in loaded else None

        return {
            "id": row["id"],
            "name": row["name"],
            "payload": payload,
            "receivedAt": _text(row["accepted_at"]),
            "functionRuns": started,
        }

    def _function(self, found: Mapping[str, Any]) -> Told:
        async def its_runs(info: Info, first: int) -> list[Told]:
            return await self.runs(Choice([found["id"]]), first)

        return {
            "id": found["id"],
            "slug": found["id"],
            "name": found["name"],
            "appName": found.get("app"),
            "triggers": [_trigger(each) for each in found["triggers"]],
            "isPaused": found["paused_at"] is not None,
            "runs": its_runs,
        }


def _trigger(stored: Mapping[str, Any]) -> Told:
    kind = "CRON" if "cron" in stored else "EVENT"
    return {
        "type": kind,
        "value": str(stored.get("cron") or stored.get("event") or ""),
        "condition": stored.get("if_exp"),
    }


def _trace(run: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Told:
    return {
        "name": run["function_id"],
        "status": _STATUSES.get(run["status"], "RUNNING"),
        "attempts": run["failures"] + 1,
        "startedAt": _text(run["started_at"]),
        "endedAt": _text(run["ended_at"]),
        "childrenSpans": [_step(run["id"], step) for step in steps],
    }


def _step(run_id: str, step: Mapping[str, Any]) -> Told:
    ended_at = step["ended_at"]
    if step["kind"] == "sleep" and ended_at is None and step["wake_at"] <= datetime.now(UTC):
        ended_at = step["wake_at"]  # nothing is written at its end
    status = "COMPLETED" if step["error"] is None else "FAILED"
    return {
        "name": step["id"],
        "status": "RUNNING" if ended_at is None else status,
        "stepID": step["id"],
        "kind": step["kind"],
        "attempts": step["attempts"],
        "startedAt": _text(step["started_at"]),
        "endedAt": _text(ended_at),
        "outputID": None if ended_at is None else _output_id(run_id, step["id"]),
        "childrenSpans": [],
    }


def _came_to(found: Memo) -> Told:
    if found.error is not None:
        told = told_error(found.kind, found.error)
        return {"data": None, "error": {"name": told["name"], "message": told["message"], "stack": told.get("stack")}}
    told = memo(found.kind, found.data, None)
    plain = told["data"] if isinstance(told, dict) and told.keys() == {"data"} else told
    return {"data": _json(plain), "error": None}


def _output(row: Mapping[str, Any]) -> str | None:
    if row["ended_at"] is None:
        return None
    if row["error"] is None:
        return _json(row["output"])
    return _json({key: value for key, value in row["error"].items() if key != "error"})  # as the SDK told it


def _output_id(run_id: str, key: str) -> str:
    return urlsafe_b64encode(json.dumps([run_id, key]).encode()).decode()


def _span(output_id: str) -> tuple[str, str]:
    try:
        run_id, key = json.loads(urlsafe_b64decode(output_id.encode()))
    except (ValueError, TypeError):
        run_id = key = None
    known = uuid_of(run_id)
    if known is None or not isinstance(key, str):
        raise GraphQLError("There is no such output.")
    return known, key


def _size(first: int) -> int:
    if not 1 <= first <= MOST:
        raise GraphQLError(f"first is between 1 and {MOST}.")
    return first


def _json(value: Any) -> str:
    return document(value).strip()


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
