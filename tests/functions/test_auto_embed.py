"""The built-in function, called as the engine calls it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import structlog

from cdc import Context, Step
from cdc.authoring.context import Counts, Database
from cdc.authoring.event import Event
from cdc.discovery import BUILT_IN, discover
from cdc.embedding.declared import Declared
from cdc.engine.sources import AtSource
from cdc.errors import StepError
from tests.functions.embedding import Embedder, Followed, change, prepared, vector_of
from tests.servers import Connection

auto_embed = discover([BUILT_IN])["auto-embed"]


class Steps:
    """Runs each step once, and remembers what it was called and what it gave."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}

    async def run(self, id: str, fn: Callable[..., Awaitable[Any]], /, *args: Any) -> Any:
        try:
            self.results[id] = await fn(*args)
        except ValueError as error:
            raise StepError(id, "ValueError", str(error)) from error
        return self.results[id]


def context(db: Database, embedder: Embedder, *events: Event) -> tuple[Context, Steps]:
    steps = Steps()
    at = AtSource(db, Declared(db, embedder))
    logger = structlog.get_logger()
    return Context("run", 1, events, cast("Step", steps), at.db, at.embeddings, lambda _: at, logger), steps


async def test_every_target_of_every_table(conn: Connection, db: Database) -> None:
    await conn.execute(
        """
        create table docs (id bigint primary key, title text, body text);
        create table notes (id bigint primary key, body text);
        select cdc.embed('docs', array['title']);
        select cdc.embed('docs', array['body'], target => 'vec');
        select cdc.embed('notes', array['body']);
        insert into docs (id, title, body) values (1, 'a', 'b'), (2, 'c', null);
        insert into notes values (1, 'd');
        """
    )
    await prepared(conn)
    note = Event("db/notes.inserted", {"new": {"id": 1}, "old": None, "schema": "public", "table": "notes"})
    ctx, steps = context(db, Embedder(), change("inserted", {"id": 1}), note, change("inserted", {"id": 2}))
    assert await auto_embed.handler(ctx) == {
        "public.docs_embeddings": Counts(embedded=2),
        "public.docs.vec": Counts(embedded=1, unchanged=1),
        "public.notes_embeddings": Counts(embedded=1),
    }
    assert steps.results.keys() == {
        "embed public.docs_embeddings",
        "embed public.docs.vec",
        "embed public.notes_embeddings",
    }


async def test_a_broken_target_holds_no_other_up(table: Followed) -> None:
    class Broken(Embedder):
        async def __call__(self, model: str, texts: Any, /) -> Any:
            if "b" in texts:
                raise ValueError("broken")
            return [vector_of(text) for text in texts]

    await table.execute("select cdc.embed('docs', array['body'], target => 'vec')")
    await prepared(table.conn)
    await table.execute("insert into docs values (1, 'a', 'b')")
    ctx, steps = context(table.db, Broken(), change("inserted", {"id": 1}))
    with pytest.raises(StepError, match=r"'embed public\.docs\.vec' failed"):
        await auto_embed.handler(ctx)
    assert steps.results == {"embed public.docs_embeddings": Counts(embedded=1)}


async def test_a_table_that_is_not_embedded_any_more(db: Database) -> None:
    ctx, steps = context(db, Embedder(), change("inserted", {"id": 1}))
    assert await auto_embed.handler(ctx) == {}
    assert steps.results == {}
