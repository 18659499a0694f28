"""Texts that the provider refuses, and answers that cannot be used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cdc.authoring.context import Counts
from cdc.errors import NonRetriableError, RetryAfter
from cdc.store import vectors
from tests.functions.embedding import Embedder, Followed, change, vector_of


async def put_aside(docs: Followed) -> list[tuple[vectors.Key, str]]:
    return [(failure.key, failure.reason) for failure in await vectors.put_aside_list(docs.conn, docs.target.layout, 9)]


async def test_a_refused_text_is_put_aside_and_its_old_vector_goes(docs: Followed) -> None:
    docs.embedder.refuses = {"bad"}
    await docs.execute("insert into docs values (1, 'good', null), (2, 'fine', null)")
    await docs.reconcile(1, 2)
    await docs.execute("update docs set title = 'bad' where id = 1")
    assert await docs.reconcile(1, 2) == Counts(refused=1, unchanged=1)
    assert (await docs.vectors()).keys() == {2}
    assert await put_aside(docs) == [(("1",), "too long")]


async def test_a_text_put_aside_is_not_tried_again_until_it_changes(docs: Followed) -> None:
    docs.embedder.refuses = {"bad", "worse"}
    await docs.execute("insert into docs values (1, 'bad', null)")
    await docs.reconcile(1)
    docs.embedder.asked.clear()
    assert await docs.reconcile(1) == Counts(unchanged=1)
    assert docs.embedder.asked == []
    await docs.execute("update docs set title = 'worse'")
    assert await docs.reconcile(1) == Counts(refused=1)
    await docs.execute("update docs set title = 'good'")
    assert await docs.reconcile(1) == Counts(embedded=1)
    assert await put_aside(docs) == []
    await docs.check()


async def test_a_text_whose_refusal_is_taken_back_at_once_is_asked_for_again(docs: Followed) -> None:
    class Relents(Embedder):
        async def __call__(self, *args: Any) -> Any:
            answers = await super().__call__(*args)
            self.refuses = set()
            return answers

    docs.embedder = Relents(refuses={"bad"})
    for statement in (
        "create sequence tries",
        "create function try_again() returns trigger language plpgsql as $$ begin"
        " if nextval('tries') = 1 then perform cdc.retry_embeddings('docs'); end if; return null; end $$",
        "create trigger try_again after insert on cdc.embedding_errors for each row execute function try_again()",
        "insert into docs values (1, 'bad', null)",
    ):
        await docs.execute(statement)
    assert await docs.reconcile(1) == Counts(embedded=1)
    assert docs.embedder.asked == ["bad", "bad"]
    await docs.check()


@pytest.mark.parametrize("gone", ["delete from docs", "update docs set title = null", "truncate docs cascade"])
async def test_nothing_stays_put_aside_for_what_is_gone(docs: Followed, gone: str) -> None:
    docs.embedder.refuses = {"bad"}
    await docs.execute("insert into docs values (1, 'bad', null)")
    await docs.reconcile(1)
    await docs.execute(gone)
    await docs.follow(change("truncated", None) if "truncate" in gone else change("updated", {"id": 1}))
    assert await put_aside(docs) == []
    await docs.check()


async def test_a_reason_that_postgres_cannot_store(table: Followed) -> None:
    class Odd(Embedder):
        async def __call__(self, *args: Any) -> Any:
            return [ValueError("a\0b \ud800")]

    table.embedder = Odd()
    await table.execute("insert into docs values (1, 'a', null)")
    assert await table.reconcile(1) == Counts(refused=1)
    assert await put_aside(table) == [(("1",), r"ab \ud800")]


async def test_a_vector_that_is_not_finite_spoils_no_other(table: Followed) -> None:
    class Odd(Embedder):
        async def __call__(self, model: str, texts: Any, /) -> Any:
            return [vector_of(text) * (np.nan if text == "odd" else 1) for text in texts]

    table.embedder = Odd()
    await table.execute("insert into docs values (1, 'odd', null), (2, 'good', null)")
    assert await table.reconcile(1, 2) == Counts(embedded=1, refused=1)


async def test_vectors_of_another_length_are_a_mistake_of_the_set_up(table: Followed) -> None:
    class Long(Embedder):
        async def __call__(self, *args: Any) -> Any:
            return [np.ones(5, dtype=np.float32)]

    table.embedder = Long()
    await table.execute("insert into docs values (1, 'a', null)")
    with pytest.raises(NonRetriableError, match=r"answers with 5 dimensions; public\.docs_embeddings was made for 4"):
        await table.reconcile(1)


async def test_when_the_provider_is_down_what_needs_none_is_done(docs: Followed) -> None:
    class Down(Embedder):
        async def __call__(self, *args: Any) -> Any:
            raise RetryAfter("down", delay=1)

    await docs.execute("insert into docs values (1, 'a', null), (2, 'b', null)")
    await docs.reconcile(1, 2)
    await docs.execute("update docs set title = null where id = 1; update docs set title = 'c' where id = 2")
    docs.embedder = Down()
    with pytest.raises(RetryAfter, match="down"):
        await docs.reconcile(1, 2)
    assert (await docs.vectors()).keys() == {2}
