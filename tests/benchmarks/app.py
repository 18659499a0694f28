"""An app as one would write it: FastAPI, the official SDK, a function with one step. Told its port."""

from __future__ import annotations

import sys
import time

import fastapi
import inngest
import inngest.fast_api
import uvicorn

client = inngest.Inngest(app_id="measured", is_production=False)


@client.create_function(fn_id="one-step", trigger=inngest.TriggerEvent(event="measured/app"))
async def one_step(ctx: inngest.Context) -> float:
    """When it began, as it saw it first."""

    async def began() -> float:
        return at

    at = time.time()
    return await ctx.step.run("begin", began)


def main(port: int) -> None:
    """Serve it."""
    app = fastapi.FastAPI()
    inngest.fast_api.serve(app, client, [one_step])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


if __name__ == "__main__":
    main(int(sys.argv[1]))
