"""What the tests of embedded tables share: an embedder without a model, and a table with its target."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdc.ai.errors import InputRefused
from cdc.authoring.context import Counts, Database
from cdc.authoring.event import Event
from cdc.embedding.declared import Declared
from cdc.embedding.prepare import prepare
from cdc.embedding.target import Target
from cdc.store.embeddings import Declaration
from tests.servers import Connection

Vector = NDArray[np.float32]

DIMENSIONS = 4
MODEL = "test/hashed"


@dataclass(frozen=True)
class Model:
    name: str = MODEL


def vector_of(text: str) -> Vector:
    """A vector that no other text has."""
    numbers = np.frombuffer(hashlib.sha256(text.encode()).digest()[: 4 * DIMENSIONS], dtype=np.uint32)
    return (numbers / np.float64(2**32)).astype(np.float32)


@dataclass
class Embedder:
    """Embeds by hash, remembers what it was asked, refuses what it is told to; `meanwhile` runs before an answer."""

    refuses: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, model: str, texts: Sequence[str], /) -> Sequence[Vector | Exception]:
        assert model == MODEL
        self.asked.extend(texts)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            await meanwhile()
        return [InputRefused("too long") if text in self.refuses else vector_of(text) for text in texts]


async def dimensions(model: str) -> int:
    return DIMENSIONS


async def prepared(conn: Connection) -> list[Declaration]:
    """Every declaration, prepared for the test model; none may have a problem."""
    declarations = await prepare(conn, default=Model, dimensions=dimensions)
    assert [declaration.problem for declaration in declarations] == [None] * len(declarations)
    return declarations


def change(verb: str, new: dict[str, Any] | None, old: dict[str, Any] | None = None) -> Event:
    data: dict[str, Any] = {"new": new, "old": old, "unchanged": [], "schema": "public", "table": "docs"}
    return Event(f"db/docs.{verb}", data)


@dataclass
class Followed:
    """A table `docs` with one target, and an embedder."""

    conn: Connection
    db: Database
    target: Target
    embedder: Embedder

    async def execute(self, statement: str, *values: Any) -> None:
        await self.conn.execute(statement.encode(), values or None)

    async def reconcile(self, *keys: int) -> Counts:
        return await self.target.reconcile(self.db, self.embedder, [(str(key),) for key in keys])

    async def follow(self, *changes: Event) -> Counts:
        return await self.target.follow(self.db, self.embedder, changes)

    @property
    def declaration(self) -> Declaration:
        return self.target.layout.declaration

    async def vectors(self) -> dict[int, Vector]:
        """The stored vectors, by key."""
        to = self.declaration
        query = f"select id, {to.target_column}::real[] from {to.target_table} where {to.target_column} is not null"
        rows = await (await self.conn.execute(query.encode())).fetchall()
        return {key: np.array(vector, dtype=np.float32) for key, vector in rows}

    async def texts(self) -> dict[int, str]:
        """The texts that should be embedded, by key."""
        query = "select id, concat_ws(E'\\n\\n', nullif(title, ''), nullif(body, '')) from docs"
        return {key: text for key, text in await (await self.conn.execute(query.encode())).fetchall() if text}

    async def versions(self) -> list[str]:
        """The row versions of source and target: the same as long as nobody writes."""
        query = f"select ctid, xmin from docs union all select ctid, xmin from {self.declaration.target_table}"
        return sorted(map(str, await (await self.conn.execute(query.encode())).fetchall()))

    async def check(self) -> None:
        """Every vector is that of its row's text, every text has one, and nothing else is kept."""
        expected = {key: vector_of(text) for key, text in (await self.texts()).items()}
        found = await self.vectors()
        assert found.keys() == expected.keys()
        for key, vector in expected.items():
            np.testing.assert_array_equal(found[key], vector)
        kept = "select (select count(*) from cdc.hashes), (select count(*) from cdc.embedding_errors)"
        hashes, errors = (await (await self.conn.execute(kept)).fetchall())[0]
        assert (hashes, errors) == (0 if self.declaration.target_kind == "table" else len(expected), 0)


KINDS = {
    "table": "select cdc.embed('docs', array['title', 'body'])",
    "table with fk": "select cdc.embed('docs', array['title', 'body'], fk => true)",
    "column": "select cdc.embed('docs', array['title', 'body'], target => 'embedding')",
}
_CHUNKED = "select cdc.embed('docs', array['title', 'body'], chunk_tokens => 24, chunk_overlap => 4"
CHUNKED = {"chunks": f"{_CHUNKED})", "chunks with fk": f"{_CHUNKED}, fk => true)"}


async def follow(conn: Connection, db: Database, kind: str) -> Followed:
    """Make `docs` and its target of one of the KINDS, or CHUNKED."""
    await conn.execute("create table docs (id bigint primary key, title text, body text)")
    await conn.execute((KINDS | CHUNKED)[kind].encode())
    await prepared(conn)
    embedder = Embedder()
    (target,) = await Declared(db, embedder).targets(("public", "docs"))
    return Followed(conn, db, target, embedder)
