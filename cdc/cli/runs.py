"""`cdc runs` and `cdc events`: what happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from cdc import config
from cdc.cli import choosing, showing
from cdc.errors import ConfigurationError
from cdc.printable import escaped
from cdc.service import hands
from cdc.store import listing, looking
from cdc.store.choice import Choice
from cdc.store.listing import Page, Which

_MOST = 1000

Key = TypeVar("Key")


def runs(
    run: str | None = None,
    *,
    function: list[str] | None = None,
    status: list[str] | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int = 20,
) -> int:
    """List the latest runs, or show one with its steps, waits and log lines.

    Args:
        run: the id of one run.
        function: only runs of this function; may be repeated.
        status: only runs that are queued, running, sleeping, waiting, completed, failed or cancelled; may be repeated.
        since: only runs created since then: 2026-05-01, 2026-05-01T12:00Z, or 2h for two hours ago.
        until: only runs created before then.
        limit: how many, 1 to 1000.
    """
    if run is not None:
        return asyncio.run(_run(choosing.uuid(run)))
    choice = choosing.choice(function, status, since, until)
    return asyncio.run(_runs(choice, _checked(limit)))


def events(event: str | None = None, *, name: str | None = None, limit: int = 20) -> int:
    """List the latest events, or show one with the runs that it started.

    Args:
        event: the id of one event, as cdc gave it.
        name: only events of this name, or of all names that begin so: db/users.*
        limit: how many, 1 to 1000.
    """
    if event is not None:
        return asyncio.run(_event(choosing.uuid(event, "event")))
    return asyncio.run(_events(name, _checked(limit)))


async def _runs(choice: Choice, limit: int) -> int:
    async with hands.looking(config.load()) as conn:
        found = await _newest(lambda after: listing.runs(conn, choice, limit, after=after), limit)
    showing.show(showing.of_runs(found) if found else "There are no such runs.")
    return 0


async def _run(run_id: str) -> int:
    async with hands.looking(config.load()) as conn:
        found = await looking.run(conn, run_id)
    if found is None:
        showing.show("There is no such run.")
        return 1
    showing.show(*_facts(found))
    if found["steps"]:
        showing.show(showing.of_steps(found["steps"]))
    if failures := showing.of_failures(found):
        showing.show(failures)
    if calls := showing.of_calls(found["steps"]):
        showing.show(calls)
    for wait in found["waits"]:
        what = "cancelled by" if wait["cancels"] else f"{wait['id']} waits for"
        showing.show(f"{what} {wait['event']}{' if ' + wait['expression'] if wait['expression'] else ''}")
    for line in found["logs"]:
        fields = " ".join(f"{name}={showing.start_of(value)}" for name, value in line["fields"].items())
        showing.show(f"{showing.time(line['ts'])} {line['level']:8} {showing.start_of(line['line'], 1000)} {fields}")
    return 0


def _facts(run: Mapping[str, Any]) -> list[str]:
    facts = {
        "run": run["id"],
        "function": run["function_id"],
        "status": run["status"],
        "stands at": run["held_at"],
        "replays": run["replays"],
        "invoked by": run["invoker"],
        "events": ", ".join(run["event_ids"]),
        "created": showing.time(run["created_at"]),
        "started": showing.time(run["started_at"]),
        "due": None if run["ended_at"] or run["status"] == "running" else showing.time(run["due_at"]),
        "ended": showing.time(run["ended_at"]),
        "failures": run["failures"] or None,
        "error": None if run["error"] is None else showing.error(run["error"]),
        "output": None if run["status"] != "completed" else json.dumps(run["output"]),
    }
    return [f"{name:11} {value}" for name, value in facts.items() if value]


async def _events(name: str | None, limit: int) -> int:
    async with hands.looking(config.load()) as conn:
        found = await _newest(lambda after: listing.events(conn, Which(name), limit, after=after), limit)
    if not found:
        showing.show("There are no such events.")
        return 0
    made = showing.table("event", "name", "time", "data")
    for event in found:
        made.add_row(event["id"], escaped(event["name"]), showing.time(event["ts"]), _data(event))
    showing.show(made)
    return 0


async def _event(event_id: str) -> int:
    async with hands.looking(config.load()) as conn:
        found = await looking.event(conn, event_id)
        runs = await looking.runs_of(conn, found) if found else []
    if found is None:
        showing.show("There is no such event.")
        return 1
    facts = {
        "event": found["id"],
        "name": found["name"],
        "given id": found["given_id"],
        "time": showing.time(found["ts"]),
        "accepted": showing.time(found["accepted_at"]),
        "user": json.dumps(found["user"]) if found["user"] else None,
        "v": found["v"],
        "data": json.dumps(found["data"], indent=2),
    }
    showing.show(*(f"{name:11} {value}" for name, value in facts.items() if value))
    showing.show(showing.of_runs(runs) if runs else "It started no runs.")
    return 0


async def _newest(turn: Callable[[Key | None], Awaitable[Page[Key]]], limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async for page in listing.each(turn):
        found += page.rows
        if len(found) >= limit:
            break
    return found[:limit]


def _data(event: Mapping[str, Any]) -> str:
    """The beginning of an event's data, as far as lists have it."""
    left_out = event["excerpt"] or "(very large)"
    return showing.start_of(left_out if event["truncated"] else event["data"])


def _checked(limit: int) -> int:
    if not 1 <= limit <= _MOST:
        raise ConfigurationError(f"--limit must be 1 to {_MOST}.", hint="Without it, 20 are listed.")
    return limit
