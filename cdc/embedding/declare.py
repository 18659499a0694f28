"""CDC_EMBED: embeddings declared in one line of configuration instead of in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from cdc.errors import ConfigurationError
from cdc.store import embeddings
from cdc.store.embeddings import Options
from cdc.store.names import Reader, quoted

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_SYMBOLS = ("(", ")", ",", ".", ";", "->", "=")
_EXAMPLE = "documents(title, content)->embedding; public.notes(body) with (chunk_tokens = 400)"

_NUMBERS = ("chunk_tokens", "chunk_overlap", "dimensions")
_TRUTH = {"true": True, "false": False}
_OPTIONS = tuple(option.name for option in fields(Options) if option.name != "replaces")
"""A successor is declared once, not at each start."""


@dataclass(frozen=True, slots=True)
class Request:
    """One wished embedding.

    `table` is written as SQL writes a name, in quotes where needed; `columns` are the names themselves. `into` is a
    column's or a table's own name, or a table written with its schema; None leaves it to `cdc.embed()`.
    """

    table: str
    columns: tuple[str, ...] = ()
    into: str | None = None
    options: Options = field(default_factory=Options)

    def __str__(self) -> str:
        columns = f"({', '.join(self.columns)})" if self.columns else ""
        into = f"->{self.into}" if self.into else ""
        told = ", ".join(f"{name} = {_written(value)}" for name, value in self.options.given.items())
        return f"{self.table}{columns}{into}{f' with ({told})' if told else ''}"


def parse(text: str) -> list[Request]:
    """The requests of `table(column, ...)[->target] [with (option = value, ...)]; ...`.

    Names fold to lower case unless in double quotes. A column may be a path into a json column, `data.title`; columns
    may be left out where the options say what is embedded.

    Raises:
        ConfigurationError: it is written otherwise; says what was expected where.
    """
    reader = Reader(text, setting="CDC_EMBED", example=_EXAMPLE, symbols=_SYMBOLS)
    requests = []
    while not reader.at_end:
        if not reader.skip(";"):
            requests.append(_request(reader))
    return requests


def asked_for(table: str, columns: str, into: str | None, options: Options) -> Request:
    """The request of these parts, the first three written as in CDC_EMBED; without columns when they are empty.

    Raises:
        ConfigurationError: they are written otherwise.
    """
    written = f"{table}({columns})" if columns else table
    (request,) = parse(f"{written}{f'->{into}' if into else ''} with ()")
    return replace(request, options=options)


async def declare(conn: AsyncConnection[tuple[Any, ...]], request: Request) -> int:
    """Call `cdc.embed()` for a request; declaring the same again changes nothing. Returns the declaration's id.

    Raises:
        ConfigurationError: a name is wrong, or the target is taken; in the server's words.
        DatabaseRefused: our role has no right to.
    """
    return await embeddings.declare(conn, request.table, request.columns, request.into, request.options)


def _request(reader: Reader) -> Request:
    table = quoted(*reader.names("a table"))
    columns = [] if reader.comes("->", "with") else list(_columns(reader))
    into = reader.names("a column or table") if reader.skip("->") else []
    options = dict(_options(reader)) if reader.skip("with") else {}
    if not reader.at_end:
        reader.expect(";")
    return Request(table, tuple(columns), _target(into), Options(**options))


def _columns(reader: Reader) -> Iterator[str]:
    reader.expect("(")
    yield _column(reader)
    while reader.skip(","):
        yield _column(reader)
    reader.expect(")")


def _column(reader: Reader) -> str:
    names = [reader.name("a column")]
    while reader.skip("."):
        names.append(reader.name("a key"))
    return ".".join(names)


def _options(reader: Reader) -> Iterator[tuple[str, Any]]:
    reader.expect("(")
    while not reader.comes(")"):
        if not reader.comes(*_OPTIONS):
            raise reader.unexpected(f"one of {', '.join(_OPTIONS)}")
        name = reader.name("an option")
        yield name, _value(name, reader.value("="))
        if not reader.skip(","):
            break
    reader.expect(")")


def _value(name: str, written: str) -> str | int | bool:
    try:
        return int(written) if name in _NUMBERS else _TRUTH[written.lower()] if name == "fk" else written
    except (ValueError, KeyError):
        kind = "true or false" if name == "fk" else "a whole number"
        raise ConfigurationError(
            f"CDC_EMBED says {name} = {written}, which is not {kind}.", hint=f"Write it like: {_EXAMPLE}"
        ) from None


def _written(value: str | int | bool) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return str(value).lower()


def _target(names: list[str]) -> str | None:
    """As `cdc.embed()` takes it: a bare name as it is, a qualified one as SQL writes it."""
    return quoted(*names) if len(names) > 1 else names[0] if names else None
