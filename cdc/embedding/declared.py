"""What handlers see as `ctx.embeddings`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from cdc.ai.errors import ProviderRejected
from cdc.authoring.context import Database, Embed
from cdc.authoring.hit import Filter, Hit
from cdc.embedding.search import Query, embedded, nearest, searched
from cdc.embedding.target import Target
from cdc.errors import ConfigurationError
from cdc.store import embeddings
from cdc.store.names import table_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Declared:
    """Implements `cdc.Embeddings` for one watched database; `embed` is what turns texts into vectors, `embed_queries`
    the same for words to search with.
    """

    def __init__(self, db: Database, embed: Embed, embed_queries: Embed | None = None) -> None:
        self._db = db
        self._embed = embed
        self._embed_queries = embed_queries or embed

    async def targets(self, table: tuple[str, str], /) -> Sequence[Target]:
        """See `Embeddings`. Asks the database each time: declarations may come and go."""
        async with self._db.connection() as conn:
            layouts = await embeddings.layouts(conn, table)
        return [Target(layout) for layout in layouts if layout.declaration.problem is None]

    async def model(self, table: str, /, target: str | None = None) -> str:
        """See `Embeddings`."""
        async with self._db.connection() as conn:
            declaration = await searched(conn, table_of(table), target)
        return str(declaration.model)

    async def search(
        self,
        table: str,
        words: str,
        /,
        limit: int = 5,
        *,
        filter: Filter | None = None,
        hybrid: bool = False,
        language: str = "simple",
        target: str | None = None,
        columns: Sequence[str] | None = None,
        every_chunk: bool = False,
    ) -> list[Hit]:
        """See `Embeddings`. No connection is held while the words are embedded."""
        query = Query(table_of(table), words, limit, target, filter, hybrid, language, columns, every_chunk)
        async with self._db.connection() as conn:
            declaration = await searched(conn, query.table, target)
        vector = await embedded(partial(self.embed, query=True), declaration, words)
        async with self._db.connection() as conn:
            return await nearest(conn, declaration, vector, query)

    async def embed(
        self, model: str, texts: Sequence[str], /, *, query: bool = False
    ) -> Sequence[NDArray[np.float32] | Exception]:
        """See `Embeddings`."""
        try:
            return await (self._embed_queries if query else self._embed)(model, texts)
        except ConfigurationError as error:
            raise ProviderRejected(error.message, hint=error.hint) from None
