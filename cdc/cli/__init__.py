"""The commands of `cdc`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from rich.console import Console

from cdc.errors import CdcError

app = App(
    name="cdc",
    help="Point it at a Postgres URL. Insert a row. A durable function runs.",
    version_flags=["--version"],
)
app.command("cdc.cli.run:run")
app.command("cdc.cli.demo:demo")
app.command("cdc.cli.embed:embed")
app.command("cdc.cli.embed:unembed")
app.command("cdc.cli.search:search")
app.command("cdc.cli.send:send")
app.command("cdc.cli.functions:functions")
app.command("cdc.cli.slot:slot")
app.command("cdc.cli.health:health")
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
