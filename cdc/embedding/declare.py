"""CDC_EMBED: embeddings declared in one line of configuration instead of in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdc.store import embeddings
from cdc.store.names import Reader, quoted

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_SYMBOLS = ("(", ")", ",", ".", ";", "->")
_EXAMPLE = "documents(title, content)->embedding; public.notes(body)"


@dataclass(frozen=True, slots=True)
class Request:
    """One wished embedding.

    `table` is written as SQL writes a name, in quotes where needed; `columns` are the names themselves. `into` is a
    column's or a table's own name, or a table written with its schema; None leaves it to `cdc.embed()`.
    """

    table: str
    columns: tuple[str, ...]
    into: str | None = None

    def __str__(self) -> str:
        into = f"->{self.into}" if self.into else ""
        return f"{self.table}({', '.join(self.columns)}){into}"


def parse(text: str) -> list[Request]:
    """The requests of `table(column, ...)[->target]; ...`; names fold to lower case unless in double quotes.

    Raises:
        ConfigurationError: it is written otherwise; says what was expected where.
    """
    reader = Reader(text, setting="CDC_EMBED", example=_EXAMPLE, symbols=_SYMBOLS)
    requests = []
    while not reader.at_end:
        if not reader.skip(";"):
            requests.append(_request(reader))
    return requests


async def declare(conn: AsyncConnection[tuple[Any, ...]], request: Request) -> int:
    """Call `cdc.embed()` for a request; declaring the same again changes nothing. Returns the declaration's id.

    Raises:
        ConfigurationError: a name is wrong, or the target is taken; in the server's words.
        DatabaseRefused: our role has no right to.
    """
    return await embeddings.declare(conn, request.table, request.columns, request.into)


def _request(reader: Reader) -> Request:
    table = quoted(*reader.names("a table"))
    reader.expect("(")
    columns = [reader.name("a column")]
    while reader.skip(","):
        columns.append(reader.name("a column"))
    reader.expect(")")
    into = reader.names("a column or table") if reader.skip("->") else []
    if not reader.at_end:
        reader.expect(";")
    return Request(table, tuple(columns), _target(into))


def _target(names: list[str]) -> str | None:
    """As `cdc.embed()` takes it: a bare name as it is, a qualified one as SQL writes it."""
    return quoted(*names) if len(names) > 1 else names[0] if names else None
