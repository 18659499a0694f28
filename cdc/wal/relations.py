"""What the stream says about a table before it sends rows of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Column:
    """A published column. `type_modifier` is pg_attribute.atttypmod, -1 for none."""

    name: str
    type_oid: int
    type_modifier: int
    key: bool
    """Part of the replica identity; under REPLICA IDENTITY FULL every column is."""


@dataclass(frozen=True)
class Relation:
    """A published table as of this point in the stream.

    `replica_identity` is pg_class.relreplident: "d" default, "n" nothing, "f" full, "i" index.
    """

    oid: int
    schema: str
    name: str
    replica_identity: str
    columns: tuple[Column, ...]

    @cached_property
    def key_columns(self) -> tuple[str, ...]:
        """Names of the replica identity's columns, in table order."""
        return tuple(column.name for column in self.columns if column.key)
