"""Whether there is something new to see: one bounded look at the tables a page is about."""

from __future__ import annotations

from typing import Any

from cdc.store.connect import Connection
from cdc.store.queries import text

RUN = "live/run"

TOPICS = {
    "overview": "live/overview",
    "events": "live/events",
    "runs": "live/runs",
    "functions": "live/functions",
    "apps": "live/apps",
    "embeddings": "live/embeddings",
    "replication": "live/replication",
    "ai": "live/ai",
}
"""The statement of each topic."""


async def seen(conn: Connection, topic: str) -> tuple[Any, ...] | None:
    """Something that is another thing whenever there is more to see of this topic."""
    return await (await conn.execute(text(TOPICS[topic]))).fetchone()


async def seen_of_run(conn: Connection, run_id: str) -> tuple[Any, ...] | None:
    """The same of one run, its status first; None: there is no such run."""
    return await (await conn.execute(text(RUN), {"id": run_id})).fetchone()
