"""How people are shown how an embedding stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest

from cdc.cli.embedding_status import lines
from cdc.service.embedding_status import Counts, Filling, Standing
from cdc.store.ai_calls import Spent
from cdc.store.embeddings import Declaration
from cdc.store.indexes import Progress
from cdc.store.lives import Life

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "openai/text-embedding-3-large@1024"
DECLARED = Declaration(
    id=1,
    table_schema="public",
    table_name="docs",
    columns=("title",),
    target_kind="table",
    target_schema="public",
    target_table="docs_embeddings",
    target_column="embedding",
    fk=False,
    model=MODEL,
    dimensions=1024,
    problem=None,
    prepared_at=NOW,
    index_type="hnsw",
)
LIVE = Life(1, NOW, None, "ready", None, NOW)
STANDING = Standing(DECLARED, LIVE, Counts(12_000, 11_990, 11_990, 3, exact=True), 7, None, None, None)


def shown(standing: Standing) -> dict[str, str]:
    """Each fact by its name."""
    _, *facts = lines([standing])
    pairs = (fact.strip().split(maxsplit=1) for fact in facts)
    return {name.strip(): value for name, value in pairs}


def test_what_is_known_is_shown() -> None:
    head, *_ = lines([STANDING])
    assert head == "public.docs -> public.docs_embeddings  live"
    assert shown(STANDING) == {
        "model": f"{MODEL}, 1,024 dimensions",
        "rows": "12,000, of which 11,990 embedded, 3 pending, 7 put aside",
        "index": "hnsw, ready",
    }


def test_where_nothing_is_declared_the_way_to_do_it_is_shown() -> None:
    assert list(lines([])) == ["Nothing is embedded. See 'cdc embed --help'."]


@pytest.mark.parametrize(
    ("life", "state"),
    [
        (LIVE, "live"),
        (LIVE._replace(live_at=None), "filling"),
        (LIVE._replace(live_at=None, retired_at=NOW), "retired"),
    ],
)
def test_it_is_live_filling_or_retired(life: Life, state: str) -> None:
    head, *_ = lines([replace(STANDING, life=life)])
    assert head.endswith(f"  {state}")


def test_estimates_are_told_from_counts() -> None:
    counts = Counts(2_000_000, 1_500_000, 1_500_000, 500_000, exact=False)
    assert shown(replace(STANDING, counts=counts, put_aside=0))["rows"] == (
        "~2,000,000, of which ~1,500,000 embedded, ~500,000 pending"
    )


def test_a_backfill_under_way_tells_its_share_its_rate_and_what_is_left_of_it() -> None:
    filling = Filling("running", 250, 1000, 10.0, 75.0, None)
    assert shown(replace(STANDING, filling=filling))["backfill"] == (
        "running, 250 rows of about 1,000 (25%), 10 rows/s, 1 min 15 s left"
    )
    failed = Filling("failed", 0, None, None, None, "no right")
    assert shown(replace(STANDING, filling=failed))["backfill"] == "failed, 0 rows: no right"


@pytest.mark.parametrize(
    ("blocks", "rows", "expected"),
    [((50, 200), (0, 0), "being made: building 25%"), ((0, 0), (3, 4), "being made: building 75%")],
)
def test_an_index_being_made_tells_its_share(blocks: tuple[int, int], rows: tuple[int, int], expected: str) -> None:
    progress = Progress("public", "docs_embeddings", "building", *rows, *blocks)
    assert shown(replace(STANDING, index=progress))["index"] == expected


def test_an_unknown_price_is_not_nothing() -> None:
    spent = Spent("openai", "text-embedding-3-large", 3, 1_000, None, 3)
    assert shown(replace(STANDING, spent=spent))["spent"] == "1,000 tokens, cost unknown"
    assert replace(STANDING, spent=spent).as_json()["cost"] == "unknown"
    partly = spent._replace(cost=Decimal("0.02"), without_price=1)
    assert shown(replace(STANDING, spent=partly))["spent"] == "1,000 tokens, $0.0200, but for 1 calls of unknown price"


def test_what_is_told_to_programs_is_json() -> None:
    standing = replace(STANDING, filling=Filling("done", 5, 5, None, None, None))
    told = orjson.loads(orjson.dumps(standing.as_json()))
    assert told["counts"] == {"rows": 12_000, "embedded": 11_990, "vectors": 11_990, "pending": 3, "exact": True}
    assert told["index"] == {"type": "hnsw", "state": "ready", "reason": None, "progress": None}
    assert told["backfill"]["status"] == "done"
