"""CDC_EMBED: embeddings declared in one line of configuration instead of in SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cdc.errors import ConfigurationError
from cdc.store import embeddings

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_TOKEN = re.compile(r'\s*("(?:[^"]|"")+"|[^\W\d][\w$]*|->|[(),.;]|$)')
_EXAMPLE = "Write it like: documents(title, content)->embedding; public.notes(body)"


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
    reader = _Reader(text)
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


def _request(reader: _Reader) -> Request:
    table = ".".join(map(_quoted, reader.names("a table")))
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
    return ".".join(map(_quoted, names)) if len(names) > 1 else names[0] if names else None


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'


def _lower(letter: re.Match[str]) -> str:
    return letter[0].lower()


class _Reader:
    """Takes one token after the other."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next = 0
        self._read()

    @property
    def at_end(self) -> bool:
        return not self._token

    def skip(self, symbol: str) -> bool:
        """Take this symbol if it comes next."""
        if self._token != symbol:
            return False
        self._read()
        return True

    def expect(self, symbol: str) -> None:
        if not self.skip(symbol):
            raise self._unexpected(f"{symbol!r}")

    def name(self, what: str) -> str:
        token = self._token
        if not token.startswith('"') and not re.match(r"\w", token):
            raise self._unexpected(f"{what} name")
        self._read()
        # Postgres folds ASCII alone.
        return token[1:-1].replace('""', '"') if token.startswith('"') else re.sub("[A-Z]", _lower, token)

    def names(self, what: str) -> list[str]:
        """A name, or a schema's and a name."""
        first = self.name(what)
        return [first, self.name(what)] if self.skip(".") else [first]

    def _read(self) -> None:
        """Go to the next token; the empty one stands at the end."""
        match = _TOKEN.match(self._text, self._next)
        if match is None:
            start = len(self._text) - len(self._text[self._next :].lstrip())
            self._token, self._start = self._text[start], start
            raise self._unexpected("a name or one of ( ) , . ; ->")
        self._token, self._start, self._next = match[1], match.start(1), match.end()

    def _unexpected(self, expected: str) -> ConfigurationError:
        found = repr(self._token) if self._token else "the end"
        return ConfigurationError(
            f"CDC_EMBED cannot be read at character {self._start + 1}: expected {expected}, found {found}.",
            hint=_EXAMPLE,
        )
