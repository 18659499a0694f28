"""Embeddings as the command line handles them."""

from __future__ import annotations

from cdc.config import Settings
from cdc.embedding import declare as declaring
from cdc.embedding.prepare import prepare
from cdc.embedding.search import Hit, Query
from cdc.embedding.search import search as find
from cdc.errors import ConfigurationError, NonRetriableError, ProviderFailed, RetryAfter
from cdc.service import published
from cdc.service.models import default_model, opened_embedder
from cdc.store import chunks, publications
from cdc.store import embeddings as store
from cdc.store.connect import checked, connect
from cdc.store.embeddings import Declaration, Options
from cdc.store.migrate import migrate


async def declare(
    settings: Settings, url: str, table: str, columns: str, into: str | None, options: Options | None = None
) -> tuple[Declaration, int]:
    """Declare one embedding and make its target; returns also about how many rows there are to embed.

    Table, columns and target are written as in CDC_EMBED; `columns` may be empty where the options say what is
    embedded.

    Raises:
        ConfigurationError: a name is wrong, or the target cannot be made; says why.
    """
    request = declaring.asked_for(table, columns, into, options or Options())
    await migrate(checked(url), "source")
    async with await connect(url, autocommit=True) as conn, opened_embedder(settings) as models:
        selected = published.selection(settings)
        await publications.ensure(conn, settings.publication, selected)
        declared = await declaring.declare(conn, request)
        prepared = await prepare(
            conn,
            default=lambda: default_model(settings),
            dimensions=models.dimensions,
            check=lambda layout, facts: published.check_embedding(selected, layout, facts),
        )
        (made,) = (declaration for declaration in prepared if declaration.id == declared)
        if made.problem:
            raise ConfigurationError(made.problem)
        return made, await chunks.estimate(conn, (made.table_schema, made.table_name))


async def forget(settings: Settings, url: str, table: str, into: str | None) -> int:
    """Forget the declarations of a table; returns how many there were."""
    await migrate(checked(url), "source")
    async with await connect(url, autocommit=True) as conn:
        return await store.forget(conn, table, into)


async def search(settings: Settings, url: str, query: Query) -> list[Hit]:
    """Rows by meaning, nearest first.

    Raises:
        ProviderFailed: the words could not be embedded.
        ConfigurationError: there is no such embedding, nothing to embed the words with, or the query cannot be used.
        DatabaseRefused: our role may not read it.
    """
    async with await connect(checked(url), autocommit=True) as conn, opened_embedder(settings) as models:
        try:
            return await find(conn, models.embed_queries, query)
        except (RetryAfter, NonRetriableError) as error:
            raise ProviderFailed(f"The words could not be embedded: {error}") from None
