"""How commands show runs and events, to people and to pipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from cdc.printable import escaped

_LONGEST = 100


def table(*columns: str) -> Table:
    """A table without lines between its rows."""
    return Table(*columns)


def show(*shown: Table | str) -> None:
    """Print tables and lines as they are. In a pipe there is no width to fit into, and a name that is broken in two
    cannot be searched for. What a row says moves no cursor and changes no colour.
    """
    console = Console(width=None if sys.stdout.isatty() else 1000, markup=False, emoji=False, highlight=False)
    for each in shown:
        console.print("\n".join(map(escaped, each.split("\n"))) if isinstance(each, str) else each)


def of_runs(runs: Sequence[Mapping[str, Any]]) -> Table:
    """Runs, as they are listed."""
    made = Table("run", "function", "status", "created", "took", "result")
    for run in runs:
        result = run["output"] if run["error"] is None else error(run["error"])
        status = f"{run['status']} (replay)" if run["replays"] else run["status"]
        made.add_row(run["id"], run["function_id"], status, time(run["created_at"]), took(run), start_of(result))
    return made


def of_steps(steps: Sequence[Mapping[str, Any]]) -> Table:
    """The steps of a run."""
    made = Table("step", "kind", "attempts", "started", "state", "input", "result")
    for step in steps:
        result = step["data"] if step["error"] is None else error(step["error"])
        attempts = str(step["attempts"][-1]["attempt"]) if step["attempts"] else ""
        said = (start_of(step["input"]), start_of(result))
        made.add_row(step["id"], step["kind"], attempts, time(step["started_at"]), _state(step), *said)
    return made


def of_failures(run: Mapping[str, Any]) -> Table | None:
    """The attempts that failed, of a run's steps and of its handler, if any did."""
    made = Table("step", "attempt", "failed", "error")
    for of in (*run["steps"], {"id": "(the handler)", "attempts": run["attempts"]}):
        for each in of["attempts"]:
            if each["error"] is not None:
                made.add_row(of["id"], str(each["attempt"]), time(each["ended_at"]), start_of(error(each["error"])))
    return made if made.row_count else None


def of_calls(steps: Sequence[Mapping[str, Any]]) -> Table | None:
    """The calls of models that the steps of a run made, if they made any."""
    made = Table("step", "call", "model", "tokens in", "out", "USD", "took", "result", "asked")
    for step in steps:
        for call in step.get("calls", ()):
            counts = (_known(call["input_tokens"]), _known(call["output_tokens"]), call["cost"])
            answered = f"{call['provider']}/{call['response_model'] or call['model']}"
            ended = call["error"] or call["finish_reason"] or ""
            took = f"{call['latency']:.3f} s"
            made.add_row(step["id"], str(call["attempt"]), answered, *counts, took, ended, start_of(step["input"]))
    return made if made.row_count else None


def _known(count: int | None) -> str:
    return "unknown" if count is None else str(count)


def time(moment: datetime | None) -> str:
    """A moment in UTC, to the second."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def took(run: Mapping[str, Any]) -> str:
    """From the start of a run to its end."""
    if not run["started_at"] or not run["ended_at"]:
        return ""
    return f"{(run['ended_at'] - run['started_at']).total_seconds():.3f} s"


def error(stored: Mapping[str, Any]) -> str:
    """A stored error in one line."""
    return escaped(f"{stored.get('name')}: {stored.get('message')}")


def start_of(value: object, longest: int = _LONGEST) -> str:
    """A value as JSON, or a text as it is, in one line of limited length."""
    if value is None:
        return ""
    line = " ".join((value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).split())
    printable = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
    return printable if len(printable) <= longest else f"{printable[: longest - 1]}…"


def _state(step: Mapping[str, Any]) -> str:
    if step["ended_at"]:
        return "failed" if step["error"] else "done"
    return f"until {time(step['wake_at'])}" if step["wake_at"] else "under way"
