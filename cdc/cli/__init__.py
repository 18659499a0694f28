"""The commands of `cdc`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from cdc.errors import CdcError

app = App(
    name="cdc",
    help="Point it at a Postgres URL. Insert a row. A durable function runs.",
    version_flags=["--version"],
    default_parameter=Parameter(negative_iterable=()),
)
# Loaded when they are used; their sentences stand here, too, so that `cdc --help` loads none of them.
_COMMANDS = {
    "cdc.cli.run:run": "Watch DATABASE_URL and run functions, until SIGTERM or Ctrl-C.\n\n"
    "Without DATABASE_URL a Postgres of its own is started on this machine.",
    "cdc.cli.serve:serve": "Serve our functions to an Inngest cluster, until SIGTERM or Ctrl-C: docs/inngest.md.",
    "cdc.cli.demo:demo": "See a row become a vector, on a Postgres of its own.\n\n"
    "Starts it and the service, inserts 320 passages, watches their vectors arrive, and searches them by meaning. "
    "Nothing is left behind.",
    "cdc.cli.embedding:embed": "Keep a vector of some columns for every row of a table.\n\n"
    "A running service picks the declaration up at once, rows that are there already included; otherwise the next "
    "'cdc run' does.",
    "cdc.cli.embed:unembed": "Stop keeping vectors for a table.",
    "cdc.cli.backfill:backfill": "Give the rows that a table has already to functions on db/<table>.backfilled.\n\n"
    "The running service reads them; newly declared embeddings need no such command.",
    "cdc.cli.search:search": "Find the rows nearest in meaning to some words.",
    "cdc.cli.send:send": "Send an event of one's own.",
    "cdc.cli.runs:runs": "List the latest runs, or show one with its steps, waits and log lines.",
    "cdc.cli.runs:events": "List the latest events, or show one with the runs that it started.",
    "cdc.cli.hands:replay": "Give the events of ended runs to new runs of the same functions: "
    "those named, or all failed ones of a choice.",
    "cdc.cli.hands:cancel": "Cancel runs: those that are named, or all unfinished ones of a choice.",
    "cdc.cli.hands:pause": "Start no more runs of a function. What it has begun goes on; "
    "events still create runs, which wait.",
    "cdc.cli.hands:resume": "Let a paused function start runs again, those that waited first.",
    "cdc.cli.hands:invoke": "Start one run of a function, whatever its triggers.",
    "cdc.cli.hands:signal": "Send a signal to the run that waits for it.",
    "cdc.cli.functions:functions": "List the functions that would run, and check their files.",
    "cdc.cli.apps:apps": "Add, list, sync or remove apps written with Inngest's SDKs.",
    "cdc.cli.doctor:doctor": "Look at everything that the service rests on, and say what to do where it is not as it "
    "should be.\n\nNothing is changed. Exit code 1 when something failed, 0 when there are warnings at most.",
    "cdc.cli.slot:slot": "Show or drop the replication slot.",
    "cdc.cli.adopt:adopt": "Make this server the source of events from now on: it is a copy, or it took the place of "
    "another.\n\nStop all services on this database first. Unfinished runs are those that are queued, running, "
    "sleeping or waiting.",
    "cdc.cli.drain:drain": "Take what was committed so far in as events, then end: for cron, where the database should "
    "sleep.",
    "cdc.cli.setup:setup": "Make what the service needs: schemas, publication, slot; with --role a role with no "
    "more rights than it needs.",
    "cdc.cli.setup:teardown": "Remove slot, publication, declarations and state, in this order; "
    "tables of vectors and roles stay.",
    "cdc.cli.health:health": "Whether the service on this machine is ready.",
}
for place, sentence in _COMMANDS.items():
    app.command(place, help=sentence)
app.command("cdc.cli.run:worker", show=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. An error is one sentence and the next thing to do, no traceback."""
    try:
        result = app(arguments, result_action="return_value", exit_on_error=False, print_error=True)
    except CycloptsError:
        return 64
    except CdcError as error:
        tell(error)
        return error.exit_code
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except Exception as error:
        from cdc.service.refusals import explained  # only now: most of the time to start is psycopg's

        refusal = explained(error)
        if refusal is None:
            raise
        tell(refusal)
        return refusal.exit_code
    return result if isinstance(result, int) else 0


def tell(error: CdcError) -> None:
    """Say what is wrong and what to do next, on stderr."""
    console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    console.print(f"cdc: {error.message}", markup=False, style="bold" if sys.stderr.isatty() else None)
    if error.hint:
        console.print(f"     {error.hint}", markup=False)
