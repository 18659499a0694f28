"""Vectors that are kept: their indexes, those that nobody reads, and texts without any."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cdc.embedding import indexing
from cdc.service.doctor.finding import Finding, ok, warning
from cdc.service.doctor.subject import Subject
from cdc.store import embeddings, indexes, lives, refused
from cdc.store.embeddings import Layout
from cdc.store.lives import Life

_LONG = timedelta(days=7)
"""After which a retired embedding is more likely forgotten than kept on purpose."""


async def indexed(subject: Subject) -> Finding:
    """Each embedding that is to have an index and has the vectors for it has one that searches can use."""
    found = [(each, life) for each, life in await _kept(subject) if each.declaration.index_type == "hnsw"]
    troubles = [trouble for each, life in found if (trouble := await _trouble(subject, each, life))]
    if troubles:
        return troubles[0]
    return ok(f"{len(found)} are asked for, and none is missing" if found else "none is asked for")


async def _trouble(subject: Subject, layout: Layout, life: Life) -> Finding | None:
    target = layout.declaration.target
    if life.index_state == "failed":
        return warning(f"{target} has none: {life.index_reason}", "Mend that; it is tried again every ten minutes.")
    there = await indexes.found(subject.watched, layout)
    if life.index_state == "ready" and not any(indexing.is_usable(each, layout) for each in there):
        return warning(f"that of {target} is gone, or not whole", "The service makes it again when it starts.")
    broken = [each.name for each in there if not each.valid]
    if life.index_state != "building" and broken:
        return warning(f"{broken[0]} on {target} is not whole", "The running service makes it again.")
    return None


async def retired(subject: Subject) -> Finding:
    """What another one took the place of is not kept for ever without need."""
    now = datetime.now(UTC)
    for layout, life in await _kept(subject):
        if life.retired_at and now - life.retired_at > _LONG:
            to = layout.declaration
            return warning(
                f"{to.target} is kept up to date, and no search has read it for {(now - life.retired_at).days} days",
                f"Drop it: cdc embed drop {to.source} --into {to.target}",
            )
    return ok("none is kept without need")


async def refusals(subject: Subject) -> Finding:
    """No text was put aside."""
    if not await subject.declarations():
        return ok("nothing is embedded")
    count = sum((await refused.counts(subject.watched)).values())
    if count:
        return warning(
            f"{count:,} {'row has' if count == 1 else 'rows have'} no vector: the provider refuses the text",
            "See why: cdc embed errors; and try them again: cdc embed retry <table>",
        )
    return ok("none")


async def _kept(subject: Subject) -> list[tuple[Layout, Life]]:
    """The declarations whose targets were made."""
    if not await subject.declarations():
        return []
    now = await lives.lives(subject.watched)
    layouts = await embeddings.layouts(subject.watched)
    return [(each, now[each.declaration.id]) for each in layouts if each.declaration.prepared_at and each.vector_schema]
