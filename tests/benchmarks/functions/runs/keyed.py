"""Returns at once; has a concurrency limit for each of ten thousand keys."""

from __future__ import annotations

from cdc import Concurrency, Context, function


@function("keyed", on="measured/keyed", concurrency=Concurrency(5, key="event.data.new.number % 10000"))
async def keyed(ctx: Context) -> None:
    """Nothing to do."""
