"""What the watched database's types are made of: the catalog, as far as the decoder needs it.

Decoding is pure, so the catalog comes from outside. Where a `Types` does not know enough it raises `TypesWanted`
before anything is consumed; whoever reads the stream loads those types, hands them in and goes on.

Built-in types have the same OID everywhere and are never asked for. Postgres docs, chapter 52 System Catalogs: pg_type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg.postgres import types as registry

FIRST_OID = 10_000
"""Of the types whose OID is given out by a database; all below are built in (access/transam.h, FirstGenbkiObjectId)."""


class Scalar(NamedTuple):
    """A type without parts that we know: enums, ranges, types that are gone. `extension` is empty for most."""

    extension: str = ""
    name: str = ""


class Domain(NamedTuple):
    """Another type with conditions."""

    of: int


class Array(NamedTuple):
    """Elements of a type, in any number of dimensions. `delimiter` stands between them in the text form."""

    of: int
    delimiter: str = ","


class Composite(NamedTuple):
    """Named attributes, in order, with the type of each."""

    attributes: tuple[tuple[str, int], ...]


Shape = Scalar | Domain | Array | Composite

_PG_SNAPSHOT, _PG_SNAPSHOTS = 5038, 5039
"""Missing in psycopg's registry."""

BUILT_IN: Mapping[int, Shape] = {
    info.array_oid: Array(info.oid, info.delimiter) for info in registry if 0 < info.array_oid < FIRST_OID
} | {_PG_SNAPSHOTS: Array(_PG_SNAPSHOT)}
"""The arrays of built-in types; other built-in types have no parts."""


class TypesWanted(Exception):
    """These types have to be read from the catalog first; nothing was consumed."""

    def __init__(self, oids: frozenset[int]) -> None:
        super().__init__(sorted(oids))
        self.oids = oids


@dataclass(frozen=True, eq=False)
class Types:
    """The shapes of a database's own types, by OID.

    One that is `open` asks, by TypesWanted, for types that it does not know, and once for those whose values do not fit
    their shape: the type was altered since. `settled` are those that need not be asked for again. One that is not open
    takes both as text.
    """

    shapes: Mapping[int, Shape] = field(default_factory=dict)
    open: bool = False
    settled: frozenset[int] = frozenset()

    def shape(self, oid: int) -> Shape:
        """What this type is made of; a scalar when it is not known."""
        return BUILT_IN.get(oid) or self.shapes.get(oid) or Scalar()

    def demand(self, oids: Iterable[int]) -> None:
        """Do nothing when all of these are known.

        Raises:
            TypesWanted: they are not.
        """
        wanted = {oid for oid in oids if oid >= FIRST_OID and oid not in self.shapes}
        if wanted and self.open:
            raise TypesWanted(frozenset(wanted))

    def doubt(self, oid: int) -> None:
        """A value of this type does not fit its shape. Do nothing when it is known that reading it again is no help.

        Raises:
            TypesWanted: the composites that it is made of have to be read again.
        """
        doubtful = self._composites_in(oid) - self.settled
        if doubtful and self.open:
            raise TypesWanted(doubtful)

    def learned(self, found: Mapping[int, Shape]) -> Types:
        """With these shapes, which were wanted. Those that were known just so already are settled."""
        again = {oid for oid, shape in found.items() if self.shapes.get(oid) == shape}
        return Types({**self.shapes, **found}, self.open, (self.settled - found.keys()) | again)

    def renewed(self, found: Mapping[int, Shape]) -> Types:
        """With these shapes, and nothing settled; itself where that makes no difference."""
        same = all(self.shapes.get(oid) == shape for oid, shape in found.items())
        return self if same and not self.settled else Types({**self.shapes, **found}, self.open)

    @property
    def composites(self) -> frozenset[int]:
        """Those that may be altered while they are in use."""
        return frozenset(oid for oid, shape in self.shapes.items() if isinstance(shape, Composite))

    def _composites_in(self, oid: int) -> frozenset[int]:
        parts = [oid]
        for part in parts:  # which grows meanwhile
            match self.shape(part):
                case Composite(attributes):
                    parts += [type_oid for _, type_oid in attributes if type_oid not in parts]
                case Domain(of) | Array(of) if of not in parts:
                    parts.append(of)
        return self.composites.intersection(parts)


NO_TYPES = Types()
"""Built-in types only; all others are text."""
