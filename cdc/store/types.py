"""The types of a watched database, as its catalog describes them now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from cdc.store.arrays import plain
from cdc.store.connect import Connection
from cdc.store.queries import text


class Described(NamedTuple):
    """One type. `of`: what an array's elements are, or a domain's values. `names` and `oids`: of a composite's
    attributes. `extension` is empty for a type of none.
    """

    oid: int
    kind: Literal["domain", "composite", "array", "scalar"]
    of: int
    delimiter: str
    names: list[str]
    oids: list[int]
    extension: str
    name: str


async def described(conn: Connection, oids: Iterable[int]) -> list[Described]:
    """These types and all that they are made of, without built-in ones and those that are gone."""
    rows = await (await conn.execute(text("server/types"), {"oids": plain(oids)})).fetchall()
    return [Described(*row) for row in rows]


async def published(conn: Connection, publication: str) -> list[int]:
    """The types that are not built in of the columns of published tables."""
    rows = await conn.execute(text("server/published_types"), {"publication": publication})
    return [oid for (oid,) in await rows.fetchall()]
