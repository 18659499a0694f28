"""Keeps the vectors declared with `cdc.embed()` equal to what their rows say."""

import asyncio
from collections import defaultdict

from cdc import Batch, Context, Event, embedded_tables, function


@function("auto-embed", on=embedded_tables(), batch_events=Batch(max_size=250), retries=20)
async def auto_embed(ctx: Context) -> dict[str, object]:
    """Follow the changes, each target in a step of its own.

    Vectors stay out of the run's memory: a step writes them itself, and returns how many there were.
    """
    changes: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in ctx.events:
        changes[event.data["schema"], event.data["table"]].append(event)

    targets = [(target, changes[table]) for table in changes for target in await ctx.embeddings.targets(table)]
    steps = (
        ctx.step.run(f"embed {target}", target.follow, ctx.db, ctx.embeddings.embed, rows) for target, rows in targets
    )
    # Side by side and each to its end: one broken provider must not keep the other targets from their vectors.
    results = await asyncio.gather(*steps, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return {str(target): counts for (target, _), counts in zip(targets, results, strict=True)}
