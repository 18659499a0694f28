"""What the settings say of the publication: CDC_TABLES, CDC_EXCLUDE, CDC_FILTER and CDC_PARTITIONS.

A name without a schema is one of `public`, as in the names of events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cdc.errors import ConfigurationError
from cdc.store.names import Reader

Table = tuple[str, str]

OWN_SCHEMAS = frozenset({"cdc", "cdc_state", "pg_catalog", "information_schema"})
"""Never published: the service would read what it writes."""

_ALL = "*"
_EVERYTHING: Table = (_ALL, _ALL)
_SYMBOLS = ("(", ")", ",", ".", ";", ":", "*")


@dataclass(frozen=True, slots=True)
class Restriction:
    """What of a table is published: not these columns, only the rows that meet the condition (SQL)."""

    columns: frozenset[str] = frozenset()
    filter: str | None = None

    def __or__(self, other: Restriction) -> Restriction:
        """Both at once."""
        filters = [each for each in (self.filter, other.filter) if each]
        together = " and ".join(f"({each}\n)" for each in filters) if len(filters) > 1 else None
        return Restriction(self.columns | other.columns, together or (filters[0] if filters else None))


UNRESTRICTED = Restriction()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tables are published besides those that functions and embeddings name, and how much of each.

    `tables` and `excluded` hold tables and patterns: (schema, `*`) and (`*`, `*`). `by_root`: rows of partitions come
    under the name of the partitioned table.
    """

    tables: frozenset[Table] = frozenset()
    excluded: frozenset[Table] = frozenset()
    restrictions: Mapping[Table, Restriction] = field(default_factory=dict)
    by_root: bool = True

    @property
    def named(self) -> frozenset[Table]:
        """The tables that are named one by one."""
        return frozenset(table for table in self.tables if table[1] != _ALL)

    @property
    def schemas(self) -> frozenset[str]:
        """The schemas of which every table is meant."""
        return frozenset(schema for schema, table in self.tables if table == _ALL != schema)

    @property
    def everything(self) -> bool:
        """Whether every table is meant."""
        return _EVERYTHING in self.tables

    @property
    def narrows(self) -> bool:
        """Whether columns or rows are left out, which needs Postgres 15."""
        return bool(self.restrictions)

    def matches(self, table: Table) -> bool:
        """Whether a pattern means this table."""
        return table[0] not in OWN_SCHEMAS and (self.everything or table[0] in self.schemas)

    def excludes(self, tables: Iterable[Table]) -> bool:
        """Whether one of these, a table and those it is a partition of, must not be published at all."""
        return any(table in self.excluded or (table[0], _ALL) in self.excluded for table in tables)

    def restriction(self, tables: Iterable[Table]) -> Restriction:
        """What is published of a table, given with those that it is a partition of."""
        restriction = UNRESTRICTED
        for table in tables:
            restriction |= self.restrictions.get(table, UNRESTRICTED)
        return restriction


def parse(*, tables: str = "", exclude: str = "", filters: str = "", by_root: bool = True) -> Selection:
    """The selection that these settings ask for.

    Raises:
        ConfigurationError: one of them is written otherwise; says what was expected where.
    """
    restrictions: dict[Table, Restriction] = {}
    excluded = set()
    for table, columns in _excluded(exclude):
        if columns:
            restrictions[table] = restrictions.get(table, UNRESTRICTED) | Restriction(frozenset(columns))
        else:
            excluded.add(table)
    for table, condition in _filters(filters):
        if table in restrictions and restrictions[table].filter:
            raise ConfigurationError(
                f"CDC_FILTER has two conditions for {'.'.join(table)}.", hint="Join them with AND or OR."
            )
        restrictions[table] = restrictions.get(table, UNRESTRICTED) | Restriction(filter=condition)
    return Selection(frozenset(_tables(tables)), frozenset(excluded), restrictions, by_root)


def _tables(text: str) -> Iterable[Table]:
    reader = Reader(text, setting="CDC_TABLES", example="users, public.orders, audit.*, *", symbols=_SYMBOLS)
    while not reader.at_end:
        table = _EVERYTHING if reader.skip(_ALL) else _pattern(reader)
        if table[0] in OWN_SCHEMAS:
            raise ConfigurationError(
                f"CDC_TABLES names {'.'.join(table)}, which is never published.", hint="Take it out of CDC_TABLES."
            )
        yield table
        if not reader.at_end:
            reader.expect(",")


def _excluded(text: str) -> Iterable[tuple[Table, list[str]]]:
    """Tables with the columns that are left out; without a column the whole table is."""
    example = "users(password_hash, ssn); audit.log(body); secrets"
    reader = Reader(text, setting="CDC_EXCLUDE", example=example, symbols=_SYMBOLS)
    while not reader.at_end:
        if reader.skip(";"):
            continue
        table, columns = _pattern(reader), []
        if table[1] != _ALL and reader.skip("("):
            columns.append(reader.name("a column"))
            while reader.skip(","):
                columns.append(reader.name("a column"))
            reader.expect(")")
        if not reader.at_end:
            reader.expect(";")
        yield table, columns


def _filters(text: str) -> Iterable[tuple[Table, str]]:
    example = "orders: status = 'paid'; public.users: deleted_at is null"
    reader = Reader(text, setting="CDC_FILTER", example=example, symbols=_SYMBOLS)
    while not reader.at_end:
        if reader.skip(";"):
            continue
        table = _table(reader.names("a table"))
        yield table, reader.expression(":")
        if not reader.at_end:
            reader.expect(";")


def _pattern(reader: Reader) -> Table:
    """A table, or `schema.*`."""
    first = reader.name("a table")
    if not reader.skip("."):
        return _table([first])
    return (first, _ALL) if reader.skip(_ALL) else (first, reader.name("a table"))


def _table(names: list[str]) -> Table:
    return ("public", names[0]) if len(names) == 1 else (names[0], names[1])
