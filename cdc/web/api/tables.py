"""Lists as CSV, for spreadsheets: written row by row, and with nothing in a cell that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from starlette.responses import StreamingResponse

from cdc.store.json import document
from cdc.store.listing import Page

MOST_ROWS = 100_000
"""In one answer."""

ROWS = 1_000
"""Read from the database at a time."""

_MOST_PAGES = 200

_COMPUTED = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What formulas begin with, also in full width."""


async def _wanted(
    request: Request,
    format: Annotated[Literal["json", "csv"] | None, Query(description="As `Accept: text/csv`, or not.")] = None,
) -> bool:
    return format == "csv" or (format is None and request.headers.get("accept", "").lower().startswith("text/csv"))


AsTable = Annotated[bool, Depends(_wanted)]
"""Whether a list is asked for as CSV."""


async def table(
    name: str, columns: Sequence[str], pages: AsyncIterator[Page[Any]], most: int | None
) -> StreamingResponse:
    """These columns of all pages. What fails at the first page is raised; later, the answer ends early."""
    first = await anext(pages)
    return StreamingResponse(
        _lines(columns, first, pages, most or MOST_ROWS),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )


async def _lines(
    columns: Sequence[str], first: Page[Any], pages: AsyncIterator[Page[Any]], most: int
) -> AsyncIterator[str]:
    yield _written([columns])
    left, count = most, 1
    page: Page[Any] | None = first
    while page is not None:
        yield _written([_cell(row, column) for column in columns] for row in page.rows[:left])
        left, count = left - len(page.rows), count + 1
        page = await anext(pages, None) if left > 0 and count <= _MOST_PAGES else None


def _written(rows: Any) -> str:
    made = io.StringIO()
    csv.writer(made).writerows(rows)
    return made.getvalue()


def _cell(row: Mapping[str, Any], column: str) -> object:
    """A number as it is; a text that would be computed with a quote before it; else JSON."""
    value = row[column]
    match value:
        case None:
            return ""
        case bool() | int() | float():
            return str(value).lower()
        case datetime():
            return value.isoformat()
        case str():
            return f"'{value}" if value.startswith(_COMPUTED) else value
        case _:
            return document(value).strip()
