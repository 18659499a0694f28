"""Keeps the vectors declared with `cdc.embed()` equal to what their rows say."""

import asyncio
from collections import defaultdict

from cdc import Batch, Context, Event, embedded_tables, function


@function("auto-embed", on=embedded_tables(), batch_events=Batch(max_size=100), retries=20)
async def auto_embed(ctx: Context) -> dict[str, object]:
    """Follow the changes, each target in a step of its own: one broken provider holds nobody else up.

    Vectors stay out of the run's memory; a step returns how many rows it embedded, and writes them itself.
    """
    changes: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in ctx.events:
        changes[event.data["schema"], event.data["table"]].append(event)

    targets = [(target, table) for table in changes for target in await ctx.embeddings.targets(table)]
    counts = await asyncio.gather(
        *(
            ctx.step.run(f"embed {target}", target.follow, ctx.db, ctx.embeddings.embed, changes[table])
            for target, table in targets
        )
    )
    return {str(target): count for (target, _), count in zip(targets, counts, strict=True)}
