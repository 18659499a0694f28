"""`cdc backfill`: existing rows of a table become events."""

from __future__ import annotations

import asyncio

from rich import print as say
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table as Sheet

from cdc import config
from cdc.authoring.triggers import BACKFILLED, event_name
from cdc.cli.database import DEFAULT, Source, chosen
from cdc.errors import CdcError, ConfigurationError
from cdc.service.backfills import Backfills, opened, refused
from cdc.store.backfills import Backfill, Table
from cdc.store.names import table_of

_EVERY = 0.25
_TAKEN_WITHIN = 3.0


def backfill(
    table: str | None = None,
    *,
    rate: int | None = None,
    detach: bool = False,
    cancel: bool = False,
    list: bool = False,
    source: Source = DEFAULT,
) -> int:
    """Give the rows that a table has already to functions on db/<table>.backfilled.

    The running service reads them in the order of their key, chunk by chunk, and merges them into the stream of
    changes; killed, it goes on where it was. Embeddings that are newly declared need no such command.

    Args:
        table: the table, with its schema when that is not public.
        rate: rows a second at most.
        detach: do not wait until it is done.
        cancel: end the one under way.
        list: show the latest ones.
        source: the database by its name, when it is one of CDC_SOURCES.
    """
    settings = config.load()
    named = chosen(settings, source)
    if rate is not None and rate < 1:
        raise ConfigurationError("--rate is a number of rows a second.", hint="Give 1 or more.")
    if table is None and not list:
        raise ConfigurationError("Name the table to backfill.", hint="Or see 'cdc backfill --list'.")

    async def obey() -> int:
        async with opened(settings, named) as backfills:
            if table is None:
                return await _list(backfills)
            if cancel:
                return await _cancel(backfills, table_of(table))
            return await _begin(backfills, table_of(table), rate, detach=detach)

    try:
        return asyncio.run(obey())
    except KeyboardInterrupt:
        say(f"\nIt goes on in the service. 'cdc backfill {table} --cancel' ends it.")
        return 130


async def _list(backfills: Backfills) -> int:
    sheet = Sheet("table", "status", "rows", "of about", "for", "", box=None, header_style="bold")
    for each in await backfills.latest():
        expected = "" if each.rows_expected is None else f"{each.rows_expected:,}"
        sheet.add_row(
            str(each), each.status, f"{each.rows_done:,}", expected, each.only_function or "", each.reason or ""
        )
    say(sheet)
    return 0


async def _cancel(backfills: Backfills, table: Table) -> int:
    if not await backfills.cancel(table):
        raise refused(table)
    say(f"The backfill of {'.'.join(table)} is cancelled. What was read of it stays.")
    return 0


async def _begin(backfills: Backfills, table: Table, rate: int | None, *, detach: bool) -> int:
    begun = await backfills.request(table, rate)
    if not await backfills.has_readers(table):
        say(f"No function is on '{event_name(*table, BACKFILLED)}' yet: the rows will be stored and start nothing.")
    if detach:
        say(f"The service backfills {begun}. See 'cdc backfill --list'.")
        return 0
    ended = await _watch(backfills, begun)
    if ended.status == "failed":
        raise CdcError(f"The backfill of {ended} failed: {ended.reason}")
    say(f"{ended.rows_done:,} rows of {ended} are backfilled" + (", then it was cancelled." * (ended.status != "done")))
    return 0 if ended.status == "done" else 1


async def _watch(backfills: Backfills, backfill: Backfill) -> Backfill:
    """Show how far it is until it is over."""
    columns = (
        *(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()),
        *(TextColumn("{task.fields[rate]}"), TimeRemainingColumn(), TextColumn("{task.fields[reason]}")),
    )
    began = asyncio.get_running_loop().time()
    with Progress(*columns) as progress:
        shown = progress.add_task(str(backfill), total=backfill.rows_expected, rate="", reason="")
        while not backfill.is_over:
            await asyncio.sleep(_EVERY)
            backfill = await backfills.present(backfill)
            waits = asyncio.get_running_loop().time() - began > _TAKEN_WITHIN and backfill.status == "requested"
            nobody = "no service has taken it yet: it begins when 'cdc run' listens" if waits else ""
            speed = progress.tasks[0].speed
            total = max(backfill.rows_expected or 0, backfill.rows_done)
            rate = f"{speed:,.0f} rows/s" if speed else ""
            reason = backfill.reason or nobody
            progress.update(shown, completed=backfill.rows_done, total=total, rate=rate, reason=reason)
        if backfill.status == "done":
            progress.update(shown, completed=backfill.rows_done, total=backfill.rows_done, rate="", reason="")
    return backfill
