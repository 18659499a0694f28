"""Tells when its run began."""

import time

from cdc import Context, function


@function("arrival", on="db/rows.inserted")
async def arrival(ctx: Context) -> dict[str, float]:
    began = time.time()
    return {"row": ctx.event.data["new"]["id"], "began": began}
