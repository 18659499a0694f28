"""An app as anybody would write one: FastAPI, and `serve` of the SDK at /api/inngest. PORT=0 takes a free one."""

from __future__ import annotations

import os

import inngest.fast_api
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from tests.sdk.python.flow import FLOW
from tests.sdk.python.sdk import client, note
from tests.sdk.python.steps import STEPS
from tests.sdk.python.waits import WAITS

app = FastAPI()


@app.middleware("http")
async def count(request: Request, answer: RequestResponseEndpoint) -> Response:
    """Note each call of a run."""
    note(f"run {request.headers.get('x-run-id')}", "called")
    return await answer(request)


inngest.fast_api.serve(app, client, [*STEPS, *WAITS, *FLOW])


def main() -> None:
    """Serve until somebody ends the process."""
    config = uvicorn.Config(app, port=int(os.environ.get("PORT", "0")), log_level="warning")
    socket = config.bind_socket()
    socket.listen()
    print("listening on", socket.getsockname()[1], flush=True)
    uvicorn.Server(config).run([socket])


if __name__ == "__main__":
    main()
